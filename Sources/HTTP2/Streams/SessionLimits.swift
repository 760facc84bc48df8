// All bounds of a connection of HTTP/2, in one place.
//
// An honest client comes near none of them. Budgets go by rate, because an honest connection lives for days.

/// So much at once, and so much more each second.
package struct Budget: Equatable, Sendable {
    /// What may be spent in one instant.
    package var atOnce: Int
    /// What comes back each second, up to `atOnce`.
    package var perSecond: Int

    /// A budget; both numbers are at least one.
    package init(atOnce: Int, perSecond: Int) {
        precondition(atOnce >= 1 && perSecond >= 1 && atOnce <= 1 << 40 && perSecond <= 1 << 40, "no such budget")
        self.atOnce = atOnce
        self.perSecond = perSecond
    }
}

/// The bounds of one connection and of its client.
package struct SessionLimits: Equatable, Sendable {
    /// The window that HTTP/2 gives to each stream, and to the connection, before anything else was said (RFC 9113 section 6.9.2).
    static let initialWindowBytes: Int32 = 65_535

    /// The streams at once, announced as MAX_CONCURRENT_STREAMS. A stream counts until `Session.release`, so that a client that resets
    /// its streams gets no more exchanges at once than one that keeps them. 1 to 65,535.
    package var maximumStreams = 256
    /// The bytes of a request's body that may wait for the exchange of each stream. 65,535 to 2^31-1.
    package var streamWindowBytes = 65_535
    /// The same for all streams of the connection together. 65,535 to 2^31-1.
    package var connectionWindowBytes = 1 << 20
    /// Whether a WebSocket may be opened on a stream (RFC 8441).
    package var allowsExtendedConnect = false

    /// The fields of a block after decoding. Its `maximumBytes` are announced as MAX_HEADER_LIST_SIZE.
    package var fields = DecodedFieldLimits()
    /// The bytes of the dynamic table with which the client compresses its fields (HEADER_TABLE_SIZE, of which 4,096 is the default).
    package static let headerTableBytes = 4_096
    /// The bytes of a field block on the wire, over all of its frames.
    package var maximumFieldBlockBytes = 65_536
    /// The frames of a field block.
    package var maximumFieldBlockFrames = 16
    /// The frames of a field block that hold nothing of it.
    package var maximumEmptyFieldBlockFrames = 2
    /// The entries of one SETTINGS.
    package var maximumSettings = 64
    /// The bytes of control frames that wait because the client does not read.
    package var maximumControlBytes = 16_384
    /// The empty DATA frames of a stream, one behind the other.
    package var maximumEmptyData = 16

    /// Streams that ended before the head of an answer: reset by the client, or by us because of the client's fault. A tab that closes
    /// cancels 100 in one packet, and a page under development 20 each second.
    package var abandonedStreams = Budget(atOnce: 512, perSecond: 50)
    /// Frames that cost work and carry nothing: PING, SETTINGS, PRIORITY, PRIORITY_UPDATE, unknown types, DATA for streams that we reset.
    /// Each frame beyond is a glitch.
    package var chatter = Budget(atOnce: 1_024, perSecond: 100)
    /// Changes of INITIAL_WINDOW_SIZE, each multiplied by the streams that are open.
    package var windowChanges = Budget(atOnce: 65_536, perSecond: 2_048)
    /// Bytes that are not the payload of DATA or a field block: headers of frames, padding, control frames. Each byte of payload that
    /// comes earns `overheadBytesPerPayloadByte` of them, and each DATA frame that we send `overheadBytesPerSentData`.
    package var overheadBytes = Budget(atOnce: 8 << 20, perSecond: 16_384)
    /// How many bytes of overhead each byte of payload earns.
    package var overheadBytesPerPayloadByte = 8
    /// How many bytes of overhead each DATA frame of ours earns: a client that gives window back needs two frames for each small event.
    package var overheadBytesPerSentData = 64
    /// WINDOW_UPDATE frames and frames for closed streams, before anything was sent. Each stream adds `creditPerStream`, and each DATA
    /// frame of ours `creditPerSentData`. Each frame beyond is a glitch.
    package var initialCredit = 5
    /// Such frames for each stream that the client opens.
    package var creditPerStream = 2
    /// Such frames for each DATA frame that we send.
    package var creditPerSentData = 20
    /// What a correct client never does, and the streams that we refuse. When three quarters are spent, GOAWAY asks the client to open
    /// another connection, and the streams of this one go on. When all is spent, the connection ends.
    package var glitches = Budget(atOnce: 1_000, perSecond: 33)

    /// The limits with their defaults.
    package init() {}

    /// Whether the numbers are within the bounds that are documented beside them.
    var isUsable: Bool {
        let windows = Int(SessionLimits.initialWindowBytes)...Int(Int32.max)
        return 1...65_535 ~= maximumStreams && windows ~= streamWindowBytes && windows ~= connectionWindowBytes
    }
}
