// Where the bytes of a line are written: memory that grows, or memory that never does. What they mean is JSONLine's. An array would be
// asked at each byte whether somebody else holds it, which was a fifth of what a request without a stream costs.
// Invariant: nothing is written outside of the memory.

/// Bytes to which more can be added.
protocol LineBytes {
    var count: Int { get }
    subscript(index: Int) -> UInt8 { get set }
    mutating func append(_ byte: UInt8)
    mutating func append(contentsOf bytes: UnsafeBufferPointer<UInt8>)
    /// Makes room for `atMost` bytes; the body writes there and returns how many.
    mutating func append(atMost count: Int, _ body: (UnsafeMutablePointer<UInt8>) -> Int)
}

extension LineBytes {
    @inline(__always)
    mutating func append(_ text: StaticString) {
        append(atMost: text.utf8CodeUnitCount) { target in
            copyShort(text, to: target)
            return text.utf8CodeUnitCount
        }
    }
}

/// Copies a short text, as keys and words are: most of the time of `memcpy` would be the call.
@inline(__always)
func copyShort(_ text: StaticString, to target: UnsafeMutablePointer<UInt8>) {
    let count = text.utf8CodeUnitCount
    let from = UnsafeRawPointer(text.utf8Start)
    let to = UnsafeMutableRawPointer(target)
    if count > 16 {
        to.copyMemory(from: from, byteCount: count)
    } else if count >= 8 {
        copyTwice(UInt64.self, from, to, count)
    } else if count >= 4 {
        copyTwice(UInt32.self, from, to, count)
    } else {
        for index in 0..<count { target[index] = text.utf8Start[index] }
    }
}

/// Copies a text's beginning and its end as one word each; the two may overlap.
@inline(__always)
private func copyTwice<Word: FixedWidthInteger & BitwiseCopyable>(
    _: Word.Type, _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, _ count: Int
) {
    let last = count - MemoryLayout<Word>.size
    let (beginning, end) = (from.loadUnaligned(as: Word.self), from.loadUnaligned(fromByteOffset: last, as: Word.self))
    to.storeBytes(of: beginning, as: Word.self)
    to.storeBytes(of: end, toByteOffset: last, as: Word.self)
}

extension [UInt8]: LineBytes {
    mutating func append(atMost count: Int, _ body: (UnsafeMutablePointer<UInt8>) -> Int) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { memory in
            append(contentsOf: UnsafeBufferPointer(rebasing: memory[..<body(memory.baseAddress!)]))
        }
    }
}

/// Bytes in memory of a fixed size, which belongs to the creator. More bytes than fit are our own mistake.
struct FixedBytes: LineBytes {
    private(set) var count = 0
    private let memory: UnsafeMutableBufferPointer<UInt8>

    init(_ memory: UnsafeMutableBufferPointer<UInt8>) { self.memory = memory }

    var room: Int { memory.count &- count }
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[..<count]) }

    mutating func removeAll() { count = 0 }

    subscript(index: Int) -> UInt8 {
        @inline(__always) get {
            precondition(index >= 0 && index < count)
            return memory.baseAddress![index]
        }
        @inline(__always) set {
            precondition(index >= 0 && index < count)
            memory.baseAddress![index] = newValue
        }
    }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        precondition(room > 0, "a line is longer than there is room for any")
        memory.baseAddress![count] = byte
        count &+= 1
    }

    @inline(__always)
    mutating func append(contentsOf bytes: UnsafeBufferPointer<UInt8>) {
        precondition(room >= bytes.count, "a line is longer than there is room for any")
        guard let start = bytes.baseAddress else { return }
        (memory.baseAddress! + count).update(from: start, count: bytes.count)
        count &+= bytes.count
    }

    @inline(__always)
    mutating func append(atMost added: Int, _ body: (UnsafeMutablePointer<UInt8>) -> Int) {
        precondition(room >= added, "a line is longer than there is room for any")
        count &+= body(memory.baseAddress! + count)
    }
}

/// Bytes in memory that is lent, and in memory of their own when they are more. The creator deallocates it, once.
struct GrowingBytes: LineBytes {
    private(set) var count = 0
    private var memory: UnsafeMutableBufferPointer<UInt8>
    private var isOwn = false

    init(_ lent: UnsafeMutableBufferPointer<UInt8>) { memory = lent }

    func deallocate() { if isOwn { memory.deallocate() } }

    var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: memory[..<count]) }

    subscript(index: Int) -> UInt8 {
        @inline(__always) get {
            precondition(index >= 0 && index < count)
            return memory.baseAddress![index]
        }
        @inline(__always) set {
            precondition(index >= 0 && index < count)
            memory.baseAddress![index] = newValue
        }
    }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        if count == memory.count { grow(by: 1) }
        memory.baseAddress![count] = byte
        count &+= 1
    }

    @inline(__always)
    mutating func append(contentsOf bytes: UnsafeBufferPointer<UInt8>) {
        guard let start = bytes.baseAddress else { return }
        if memory.count &- count < bytes.count { grow(by: bytes.count) }
        (memory.baseAddress! + count).update(from: start, count: bytes.count)
        count &+= bytes.count
    }

    @inline(__always)
    mutating func append(atMost added: Int, _ body: (UnsafeMutablePointer<UInt8>) -> Int) {
        if memory.count &- count < added { grow(by: added) }
        count &+= body(memory.baseAddress! + count)
    }

    @inline(never)
    private mutating func grow(by added: Int) {
        let larger = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(2 * memory.count, count + added))
        larger.baseAddress!.update(from: memory.baseAddress!, count: count)
        if isOwn { memory.deallocate() }
        memory = larger
        isOwn = true
    }
}
