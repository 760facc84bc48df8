// What a stream and its readers learn of the server's side: how it ended, and what happened between two responses. The values go from one
// worker to another.

import Upstreams

/// How the server's part of a kept stream ended.
enum FeedEnd: Sendable {
    /// The response's end came.
    case whole(isCloseDelimited: Bool)
    /// The server failed.
    case failed(SeenFailure)
    /// The server was left, because nobody read for too long, or everybody who saw how it ended has left.
    case left
    /// The server dropped, and did not go on within so many milliseconds; how it failed last, if it was asked.
    case stayedAway(SeenFailure?, milliseconds: Int64)
    /// The server dropped, and gave another answer than the stream when it was asked to go on.
    case answered(status: Int)
}

/// What happened between two responses of a stream, for the log.
enum FeedChange: Sendable {
    /// The server dropped, and went on so many milliseconds later.
    case masked(milliseconds: Int64)
    /// The proxy has replaced the response.
    case recycled
}
