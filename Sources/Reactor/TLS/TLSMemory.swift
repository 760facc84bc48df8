// Memory for OpenSSL's single records: each thread keeps a few blocks and reuses them. In release mode an idle connection frees its
// record buffer after every heartbeat, so without this file each heartbeat would allocate 16 KiB and some small blocks. Invariant: a
// kept block is at least as large as its kind promises.

import CLinux
import COpenSSL
import Glibc

enum TLSMemory {
    /// Small blocks for a record that is being written, such as OpenSSL's list of lengths to fill in.
    private static let crumbBytes = 40
    private static let smallestCrumbBytes = 25
    /// One record with its header, padding and tag.
    private static let recordBytes = 17_408
    private static let smallestRecordBytes = 16_385

    /// The blocks that one thread keeps.
    private struct Kept {
        static let crumbLimit = 16
        static let recordLimit = 4
        var crumbs = InlineArray<16, UnsafeMutableRawPointer?>(repeating: nil)
        var records = InlineArray<4, UnsafeMutableRawPointer?>(repeating: nil)
        var crumbCount = 0
        var recordCount = 0
    }

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key) { pointer in
            guard let kept = pointer?.assumingMemoryBound(to: Kept.self) else { return }
            for index in 0..<kept.pointee.crumbCount { Glibc.free(kept.pointee.crumbs[index]) }
            for index in 0..<kept.pointee.recordCount { Glibc.free(kept.pointee.records[index]) }
            kept.deinitialize(count: 1)
            kept.deallocate()
        }
        return key
    }()

    private static var kept: UnsafeMutablePointer<Kept> {
        if let pointer = pthread_getspecific(key) { return pointer.assumingMemoryBound(to: Kept.self) }
        let fresh = UnsafeMutablePointer<Kept>.allocate(capacity: 1)
        fresh.initialize(to: Kept())
        pthread_setspecific(key, fresh)
        return fresh
    }

    /// Replaces the C library's allocator for all of OpenSSL. Must be called before any other use of OpenSSL; later it has no effect.
    static func install() {
        CRYPTO_set_mem_functions(
            { count, _, _ in TLSMemory.allocate(count) },
            { block, count, _, _ in TLSMemory.reallocate(block, count) },
            { block, _, _ in TLSMemory.release(block) })
    }

    private static func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
        if count >= smallestCrumbBytes, count <= crumbBytes {
            let kept = self.kept
            guard kept.pointee.crumbCount > 0 else { return Glibc.malloc(crumbBytes) }
            kept.pointee.crumbCount -= 1
            return kept.pointee.crumbs[kept.pointee.crumbCount]
        }
        guard count >= smallestRecordBytes, count <= recordBytes else { return Glibc.malloc(count) }
        let kept = self.kept
        guard kept.pointee.recordCount > 0 else { return Glibc.malloc(recordBytes) }
        kept.pointee.recordCount -= 1
        return kept.pointee.records[kept.pointee.recordCount]
    }

    private static func release(_ block: UnsafeMutableRawPointer?) {
        guard let block else { return }
        let count = malloc_usable_size(block)
        // Up to the size to which the C library rounds such a block.
        if count >= crumbBytes, count < crumbBytes + 16 {
            let kept = self.kept
            if kept.pointee.crumbCount < Kept.crumbLimit {
                kept.pointee.crumbs[kept.pointee.crumbCount] = block
                kept.pointee.crumbCount += 1
                return
            }
        } else if count >= recordBytes, count < recordBytes + 64 {
            let kept = self.kept
            if kept.pointee.recordCount < Kept.recordLimit {
                kept.pointee.records[kept.pointee.recordCount] = block
                kept.pointee.recordCount += 1
                return
            }
        }
        Glibc.free(block)
    }

    private static func reallocate(_ block: UnsafeMutableRawPointer?, _ count: Int) -> UnsafeMutableRawPointer? {
        guard let block else { return allocate(count) }
        // A kept block may be larger than requested. A block that must grow beyond it becomes an ordinary one.
        if count <= malloc_usable_size(block) { return block }
        return Glibc.realloc(block, count)
    }
}
