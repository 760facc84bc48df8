// The nine octets in front of each frame (RFC 9113 section 4.1): read from a client's bytes, written in front of ours.
//
//   +-----------------------------------------------+
//   |                 length (24)                   |
//   +---------------+---------------+---------------+
//   |   type (8)    |   flags (8)   |
//   +-+-------------+---------------+-------------------------------+
//   |R|                    stream (31)                              |
//   +=+=============================================================+
//
// Invariant: the reserved bit is dropped when it is read and zero when it is written.

import Bytes

/// The types of frames that a server has a rule for (RFC 9113 section 6, RFC 9218 section 7.1). Any other type is ignored.
enum FrameType: UInt8 {
    case data = 0
    case headers = 1
    case priority = 2
    case resetStream = 3
    case settings = 4
    case pushPromise = 5
    case ping = 6
    case goAway = 7
    case windowUpdate = 8
    case continuation = 9
    case priorityUpdate = 16
}

/// The bits of a frame's flags. A bit that its type does not define is ignored.
enum FrameFlag {
    static let endStream: UInt8 = 0x1
    static let acknowledgement: UInt8 = 0x1
    static let endHeaders: UInt8 = 0x4
    static let padded: UInt8 = 0x8
    static let priority: UInt8 = 0x20
}

/// The header of a frame.
struct FrameHeader: Equatable {
    /// The octets that a header takes.
    static let byteCount = 9
    /// The longest payload that we accept and that we send: the least that each side must accept (section 4.2).
    static let maximumPayload = 16_384

    /// The octets of the payload.
    var length = 0
    /// The type as it came.
    var type: UInt8 = 0
    /// The flags as they came.
    var flags: UInt8 = 0
    /// The stream's number, 0 for the connection.
    var stream: UInt32 = 0

    /// A header that we write.
    init(_ type: FrameType, length: Int, flags: UInt8 = 0, stream: UInt32 = 0) {
        self.length = length
        self.type = type.rawValue
        self.flags = flags
        self.stream = stream
    }

    /// The header in the nine octets from that offset.
    @inline(__always)
    init(_ bytes: Span<UInt8>, at offset: Int = 0) {
        precondition(offset >= 0 && offset <= bytes.count - FrameHeader.byteCount, "the header lies outside of the bytes")
        let first = ByteWord.load(bytes, at: offset).byteSwapped
        length = Int(truncatingIfNeeded: first >> 40)
        type = UInt8(truncatingIfNeeded: first >> 32)
        flags = UInt8(truncatingIfNeeded: first >> 24)
        stream = (UInt32(truncatingIfNeeded: first) << 8 | UInt32(bytes[offset &+ 8])) & 0x7FFF_FFFF
    }

    /// Whether the flags hold that bit.
    func has(_ flag: UInt8) -> Bool { flags & flag != 0 }

    /// Whether the payload is as long as frames of that type have to be (section 6, RFC 9218 section 7.1).
    func hasLength(of type: FrameType) -> Bool {
        switch type {
        case .resetStream, .windowUpdate: length == 4
        case .ping: length == 8
        case .goAway: length >= 8
        case .priorityUpdate: length >= 4
        case .priority: length == 5
        case .settings: has(FrameFlag.acknowledgement) ? length == 0 : length % Settings.entryBytes == 0
        case .data, .headers, .pushPromise, .continuation: true
        }
    }

    /// Appends the nine octets.
    func append(to output: inout [UInt8]) {
        output.append(UInt8(truncatingIfNeeded: length >> 16))
        output.append(UInt8(truncatingIfNeeded: length >> 8))
        output.append(UInt8(truncatingIfNeeded: length))
        output.append(type)
        output.append(flags)
        output.append(bigEndian: stream)
    }

    /// Writes the nine octets to memory that has room for them.
    @inline(__always)
    func write(to memory: UnsafeMutableRawPointer) {
        let first = UInt64(truncatingIfNeeded: length) << 40 | UInt64(type) << 32 | UInt64(flags) << 24 | UInt64(stream >> 8)
        memory.storeBytes(of: first.bigEndian, as: UInt64.self)
        memory.storeBytes(of: UInt8(truncatingIfNeeded: stream), toByteOffset: 8, as: UInt8.self)
    }
}

/// Four octets as a number, the highest first.
@inline(__always)
func bigEndian(_ bytes: Span<UInt8>, at offset: Int) -> UInt32 {
    precondition(offset >= 0 && offset <= bytes.count - 4, "the number lies outside of the bytes")
    return UInt32(bigEndian: bytes.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
}

extension [UInt8] {
    /// Appends a number in four octets, the highest first.
    mutating func append(bigEndian number: UInt32) {
        for shift in stride(from: 24 as UInt32, through: 0, by: -8) { append(UInt8(truncatingIfNeeded: number >> shift)) }
    }
}
