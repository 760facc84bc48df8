// The kernel's own view of one TCP connection at the moment when a stream ended. The layers with access to the kernel fill it; this
// file only names the numbers. Invariant: a plain value, all counts as the kernel gave them.

/// What the kernel knew about a connection (Linux `TCP_INFO`), as evidence beside a cause.
package struct TransportView: Sendable, Equatable {
    /// The smoothed round-trip time, in microseconds.
    package var roundTripMicroseconds: UInt32
    /// The mean deviation of the round-trip time, in microseconds.
    package var roundTripVarianceMicroseconds: UInt32
    /// Retransmissions in a row of what is unacknowledged now; above zero the peer is not answering.
    package var retransmits: UInt32
    /// Retransmitted segments over the life of the connection.
    package var totalRetransmits: UInt32
    /// Bytes handed to the kernel that the peer has not acknowledged.
    package var unacknowledgedBytes: UInt32
    /// Milliseconds since the last acknowledgement from the peer.
    package var sinceLastAcknowledgementMilliseconds: UInt32
    /// Milliseconds since data was last sent.
    package var sinceLastSentMilliseconds: UInt32
    /// Milliseconds since data was last received.
    package var sinceLastReceivedMilliseconds: UInt32
    /// The TCP state, in the kernel's numbering (1 is ESTABLISHED, 7 is CLOSE).
    package var state: UInt8

    /// A view from the kernel's numbers.
    package init(
        roundTripMicroseconds: UInt32, roundTripVarianceMicroseconds: UInt32, retransmits: UInt32,
        totalRetransmits: UInt32, unacknowledgedBytes: UInt32, sinceLastAcknowledgementMilliseconds: UInt32,
        sinceLastSentMilliseconds: UInt32, sinceLastReceivedMilliseconds: UInt32, state: UInt8
    ) {
        self.roundTripMicroseconds = roundTripMicroseconds
        self.roundTripVarianceMicroseconds = roundTripVarianceMicroseconds
        self.retransmits = retransmits
        self.totalRetransmits = totalRetransmits
        self.unacknowledgedBytes = unacknowledgedBytes
        self.sinceLastAcknowledgementMilliseconds = sinceLastAcknowledgementMilliseconds
        self.sinceLastSentMilliseconds = sinceLastSentMilliseconds
        self.sinceLastReceivedMilliseconds = sinceLastReceivedMilliseconds
        self.state = state
    }

    /// The name of `state` as RFC 9293 section 3.3.2 has it, in lower case with underscores.
    package var stateName: StaticString {
        switch state {
        case 1: "established"
        case 2: "syn_sent"
        case 3: "syn_received"
        case 4: "fin_wait_1"
        case 5: "fin_wait_2"
        case 6: "time_wait"
        case 7: "closed"
        case 8: "close_wait"
        case 9: "last_ack"
        case 10: "listen"
        case 11: "closing"
        default: "unknown"
        }
    }
}
