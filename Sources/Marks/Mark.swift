// Marks of branches that failed once. Production code says that it has come by one, and a test asserts that it did: so no test goes on
// passing after its situation has become another. In release builds a mark is nothing.

/// A branch that failed once, in the words of what happens there.
package enum Mark: CaseIterable, Sendable {
    // MARK: Event streams

    /// What may be the beginning of a byte order mark is withheld.
    case byteOrderMarkWithheld
    /// What was withheld is no byte order mark, and goes on.
    case withheldBytesSent
    /// A byte order mark is dropped, because something was woven before it.
    case byteOrderMarkDropped
    /// The LF of a CRLF is swallowed, because something was woven behind the CR.
    case lineFeedSwallowed
    /// Something was woven while a blank line would lose the id that the client brought.
    case identifierGuarded

    // MARK: Links

    /// What a peer said before writing to it failed is read.
    case answerReadAfterFailedWrite
    /// A peer makes TLS answer and does not read the answers.
    case answersOfTLSUnread

    // MARK: Servers

    /// Something has come on an idle connection, so it is not used.
    case idleConnectionNotQuiet
    /// An idle connection was dead when it was used, and the request goes to the same server again.
    case deadIdleConnectionRetried
    /// A period of probes has passed without an answer, so the next one is wider.
    case probePeriodUnanswered
    /// Somebody who is no probe was not served by a server that is known to fail.
    case failureOfNoProbe

    // MARK: Clients

    /// Bytes of a later request are dropped because there is no room.
    case pipelinedBytesDiscarded
    /// The next request waits until the client has read the answer to this one.
    case answerUnread
    /// An interim response comes when the response has begun already, and is dropped.
    case interimResponseDropped
    /// A body that only the connection's end would end is cut by a reset.
    case closeDelimitedBodyReset

    /// Says that the code has come by here.
    @inlinable @inline(__always)
    package static func reached(_ mark: Mark) {
        #if DEBUG
            observer?(mark)
        #endif
    }

    #if DEBUG
        /// Who is told of marks that code comes by, set by a test for what runs within it.
        @TaskLocal package static var observer: (@Sendable (Mark) -> Void)?
    #endif
}
