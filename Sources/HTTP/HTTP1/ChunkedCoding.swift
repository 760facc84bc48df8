// The writing side of the chunked coding (RFC 9112 section 7.1): the frame around data that is sent without being copied.
//
// Invariant: a written chunk is never empty, so the last chunk is only written on purpose.

import Bytes

/// The frame around the data of a chunk.
public enum ChunkedCoding {
    /// The most bytes that a size line takes: sixteen digits and the line end.
    public static let maximumSizeLineBytes = 18

    /// What follows the data of each chunk.
    public static let lineEnd: StaticString = "\r\n"

    /// The last chunk with an empty trailer section: the end of a body that is complete.
    public static let lastChunk: StaticString = "0\r\n\r\n"

    /// Writes the size line of a chunk of `count` bytes (at least one), so that the line ends right before the offset `end` of the
    /// buffer, where the data begins. Returns the line's length. `maximumSizeLineBytes` bytes must be free there.
    public static func writeSizeLine(
        _ count: Int, endingAt end: Int, in buffer: UnsafeMutableRawBufferPointer
    ) -> Int {
        precondition(count > 0, "an empty chunk would end the body")
        precondition(end >= 3 && end <= buffer.count, "the size line lies outside of the buffer")
        buffer[end - 1] = lineFeed
        buffer[end - 2] = carriageReturn
        var position = end - 2
        var rest = UInt(count)
        while rest > 0 {
            precondition(position > 0, "the size line lies outside of the buffer")
            position -= 1
            buffer[position] = hexadecimalDigit(UInt8(truncatingIfNeeded: rest & 15))
            rest >>= 4
        }
        return end - position
    }
}
