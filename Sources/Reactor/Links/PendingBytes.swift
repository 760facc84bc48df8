// Bytes that the kernel would not take yet. There is a heap block only while bytes wait, so an idle link costs a null pointer. The code
// that produces the bytes limits how many may wait.

import Glibc

/// A queue of bytes in one heap block, which is freed as soon as the queue is empty.
struct PendingBytes: ~Copyable {
    private var block: UnsafeMutableRawPointer?
    private var capacity: UInt32 = 0
    private var start: UInt32 = 0
    private var end: UInt32 = 0

    init() {}

    deinit { free(block) }

    var count: Int { Int(end - start) }

    var isEmpty: Bool { start == end }

    /// The waiting bytes, first in first out; valid until the next change.
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
