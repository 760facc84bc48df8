// SETTINGS (RFC 9113 section 6.5): ours, written once, and those of the peer, read entry by entry.
//
// Invariant: an entry that we do not know is ignored; the entries count in their order.

/// The settings that we send or have a rule for. HEADER_TABLE_SIZE is none: our encoder uses no table.
enum SettingIdentifier: UInt16 {
    case enablePush = 2
    case maximumConcurrentStreams = 3
    case initialWindowSize = 4
    case maximumFrameSize = 5
    case maximumHeaderListSize = 6
    /// RFC 8441 section 3.
    case enableConnectProtocol = 8
    /// RFC 9218 section 2.1.
    case noRFC7540Priorities = 9
}

/// One entry of SETTINGS that the session acts on.
enum PeerSetting: Equatable {
    /// The window of each stream that we send on, in bytes.
    case initialWindowSize(Int32)
    /// The streams that we may have open at once, as a client.
    case maximumConcurrentStreams(UInt32)
    /// Whether the peer allows pushes: only a client may say so.
    case allowsPush
    /// Nothing to do.
    case other
}

/// Reads entries and writes ours.
enum Settings {
    /// The octets of an entry.
    static let entryBytes = 6

    /// The entry in the payload at that offset; a value out of its bounds is a connection error (section 6.5.2).
    static func entry(_ payload: Span<UInt8>, at offset: Int) throws(SessionError) -> PeerSetting {
        let number = UInt16(payload[offset]) << 8 | UInt16(payload[offset + 1])
        let value = bigEndian(payload, at: offset + 2)
        switch SettingIdentifier(rawValue: number) {
        case .enablePush where value > 1: throw SessionError(.protocolError, "ENABLE_PUSH over 1")
        case .enablePush where value == 1: return .allowsPush
        case .maximumConcurrentStreams: return .maximumConcurrentStreams(value)
        case .initialWindowSize:
            guard value <= UInt32(Int32.max) else { throw SessionError(.flowControlError, "INITIAL_WINDOW_SIZE over 2^31-1") }
            return .initialWindowSize(Int32(value))
        case .maximumFrameSize where value < 16_384 || value > 16_777_215:
            throw SessionError(.protocolError, "MAX_FRAME_SIZE out of its bounds")
        case .noRFC7540Priorities where value > 1: throw SessionError(.protocolError, "NO_RFC7540_PRIORITIES over 1")
        default: return .other
        }
    }

    /// Appends a server's SETTINGS: what differs from the standard's defaults.
    static func append(_ limits: SessionLimits, to output: inout [UInt8]) {
        var entries: [(SettingIdentifier, UInt32)] = [
            (.maximumConcurrentStreams, UInt32(limits.maximumStreams)),
            (.maximumHeaderListSize, UInt32(limits.fields.maximumBytes)),
            (.noRFC7540Priorities, 1),
        ]
        entries += window(limits)
        if limits.allowsExtendedConnect { entries.append((.enableConnectProtocol, 1)) }
        append(entries, to: &output)
    }

    /// Appends a client's SETTINGS: it takes no pushes.
    static func appendForClient(_ limits: SessionLimits, to output: inout [UInt8]) {
        append([(.enablePush, 0), (.maximumHeaderListSize, UInt32(limits.fields.maximumBytes))] + window(limits), to: &output)
    }

    private static func window(_ limits: SessionLimits) -> [(SettingIdentifier, UInt32)] {
        let bytes = limits.streamWindowBytes
        return bytes == Int(SessionLimits.initialWindowBytes) ? [] : [(.initialWindowSize, UInt32(bytes))]
    }

    private static func append(_ entries: [(SettingIdentifier, UInt32)], to output: inout [UInt8]) {
        FrameHeader(.settings, length: entries.count * entryBytes).append(to: &output)
        for (identifier, value) in entries {
            output.append(UInt8(truncatingIfNeeded: identifier.rawValue >> 8))
            output.append(UInt8(truncatingIfNeeded: identifier.rawValue))
            output.append(bigEndian: value)
        }
    }
}
