// Tells what a server says again, after its connection dropped and it was asked again, from what is new.
//
// Servers answer the new request in many ways: with what follows the id that they were asked for, with that event too, with all that they
// have, or with what comes next. Invariants: a block of an id that the log does not know is never dropped; one of a known id only if it is
// the same block. Where no answer is certain, the block passes: never silently less comes before never twice. So blocks without an id pass.

/// Decides which blocks of a server's new response are dropped, because the log has them. It is needed until `isOver`.
package struct ReplayFilter {
    private var greetings: LeadingGreetings
    private let said: SaidBlocks?
    /// Nil before the first block that is no greeting.
    private var recognition: BlockRecognition?

    /// A filter for one response.
    ///
    /// - Parameters:
    ///   - greetings: types of leading events that are dropped (bytes of the type; `message` for events without one).
    ///   - said: what the server has said, where the log has blocks of other servers too; nil where the log is the server's alone.
    package init(greetings: [[UInt8]], said: SaidBlocks? = nil) {
        self.greetings = LeadingGreetings(greetings)
        self.said = said
    }

    /// Whether nothing is dropped any more, so that the filter can go.
    package var isOver: Bool { greetings.areOver && recognition?.isOver ?? false }

    /// Whether the block that the cutter has just found in the piece is dropped. Call it once for each whole block, before it is appended.
    ///
    /// Of a block above the limit the log has no bytes: its id counts, and that the known one was above the limit too. What a server itself
    /// has said is compared by hashes of all bytes.
    package mutating func drops(_ cutter: BlockCutter, of piece: Span<UInt8>, in log: BlockLog) -> Bool {
        if greetings.drops(cutter, of: piece) { return true }
        var recognition = recognition ?? BlockRecognition(in: log, said: said, isPatient: false)
        defer { self.recognition = recognition }
        return !recognition.isOver && recognition.recognises(cutter, of: piece, in: log)
    }
}

/// Events at the start of a response that are dropped, because they greet the connection and not the client.
struct LeadingGreetings {
    private let types: [[UInt8]]
    /// An event of another type has come, or none is dropped.
    private(set) var areOver: Bool

    /// Greetings of these types; `message` is that of events without a type.
    init(_ types: [[UInt8]]) {
        self.types = types
        areOver = types.isEmpty
    }

    /// Whether the cutter's block is a greeting. Any other event ends them; blocks without data do not.
    mutating func drops(_ cutter: BlockCutter, of piece: Span<UInt8>) -> Bool {
        guard !areOver, cutter.block.hasData else { return false }
        let type = cutter.type(in: piece)
        areOver = !types.contains(type.isEmpty ? TypeTable.message : type)
        return !areOver
    }
}
