// Recognises which blocks of a new response are no news: by the log where that is one server's alone, and else by what the server itself
// has said.

/// Follows one response of a server that was asked to go on.
struct BlockRecognition {
    private enum Source {
        case log(ReplayRecognition)
        case server(SaidBlocks.Recognition)
    }

    private var source: Source

    /// A recognition whose response begins now.
    ///
    /// - Parameters:
    ///   - said: what the server has said so far, where the log has blocks of others too; nil where the log is the server's alone.
    ///   - isPatient: whether blocks of unknown ids may stand before the first known one.
    init(in log: BlockLog, said: SaidBlocks?, isPatient: Bool) {
        source = said.map { .server(SaidBlocks.Recognition($0)) } ?? .log(ReplayRecognition(in: log, isPatient: isPatient))
    }

    /// Whether nothing comes again any more.
    var isOver: Bool {
        switch source {
        case .log(let recognition): recognition.isOver
        case .server(let recognition): recognition.isOver
        }
    }

    /// Whether the server's ids begin again with each response, as far as that is known.
    var hasFoundOther: Bool { if case .log(let recognition) = source { recognition.hasFoundOther } else { false } }

    /// Nothing comes again any more.
    mutating func giveUp() {
        switch source {
        case .log(var recognition):
            recognition.giveUp()
            source = .log(recognition)
        case .server(var recognition):
            recognition.giveUp()
            source = .server(recognition)
        }
    }

    /// Whether the cutter's block is no news. To be asked for each block once, and only until `isOver`.
    mutating func recognises(_ cutter: BlockCutter, of piece: Span<UInt8>, in log: BlockLog) -> Bool {
        switch source {
        case .log(var recognition):
            defer { source = .log(recognition) }
            return recognition.recognises(cutter, of: piece, in: log)
        case .server(var recognition):
            defer { source = .server(recognition) }
            return recognition.recognises(cutter, of: piece)
        }
    }
}
