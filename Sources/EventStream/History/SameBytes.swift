// Whether two runs of bytes are the same, eight at a time.

import Bytes

@inline(__always)
func isSame(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    let (left, right) = (left.span, right.span)
    var offset = 0
    while left.count &- offset >= 8 {
        if ByteWord.load(left, at: offset) != ByteWord.load(right, at: offset) { return false }
        offset &+= 8
    }
    while offset < left.count {
        if left[offset] != right[offset] { return false }
        offset &+= 1
    }
    return true
}

@inline(__always)
func isSame(_ left: [UInt8], _ right: UnsafeBufferPointer<UInt8>) -> Bool { left.withUnsafeBufferPointer { isSame($0, right) } }
