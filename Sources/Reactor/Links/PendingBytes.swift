// Bytes that the kernel would not take yet. It owns one heap block only while there is something in it, so an
// idle link costs a null pointer. How much may wait is decided by whoever stops to produce more.

import Glibc

/// A queue of bytes in one heap block that is given back as soon as it is drained.
struct PendingBytes: ~Copyable {
    private var block: UnsafeMutableRawPointer?
    private var capacity: UInt32 = 0
    private var start: UInt32 = 0
    private var end: UInt32 = 0

    init() {}

    deinit { free(block) }

    var count: Int { Int(end - start) }

    var isEmpty: Bool { start == end }

    /// The bytes that wait, first in first out; good until the next change.
    var bytes: UnsafeRawBufferPointer {
        guard let block else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(start: block + Int(start), count: count)
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        let needed = count + bytes.count
        precondition(needed < Int(UInt32.max), "producers are stopped long before")
        if Int(capacity) - Int(end) < bytes.count {
            if start > 0, let block {
                memmove(block, block + Int(start), count)
                end -= start
                start = 0
            }
            if Int(capacity) < needed {
                capacity = UInt32(max(needed, min(Int(capacity) * 2, 1 << 20)))
                block = realloc(block, Int(capacity))
            }
        }
        memcpy(block! + Int(end), bytes.baseAddress!, bytes.count)
        end += UInt32(bytes.count)
    }

    mutating func removeFirst(_ removed: Int) {
        start += UInt32(removed)
        if start == end { clear() }
    }

    mutating func clear() {
        free(block)
        block = nil
        capacity = 0
        start = 0
        end = 0
    }
}
