// One HTTP/1.1 connection of the demo's backend: reads requests, answers them, and becomes a stream on request. It reads no request
// bodies, because no client of the demo sends one. Invariant: a head is bounded in bytes and in time, and so is what a client leaves
// unread.

import HTTP
import Reactor

/// A client of the backend.
final class BackendConnection: Link, FeedReader {
    private static let headMilliseconds: Int64 = 10_000
    private static let keepAliveMilliseconds: Int64 = 60_000
    private static let pendingLimitBytes = 262_144
    private static let headLimits = HeadLimits()

    private enum State {
        case awaitingHead
        case streaming(isChunked: Bool)
        case closing
        case closed
    }

    private let backend: Backend
    private var state = State.awaitingHead
    private var scanner = HeadScanner(kind: .request, limits: headLimits)
    private var partialHead: [UInt8] = []
    private var deadline: Int64 = 0
    /// What the client gets where it asked for one of the eight streams.
    private var rhythm: (stream: RhythmicStream, arrival: ArrivalNote)?

    init(backend: Backend) {
        self.backend = backend
        super.init(worker: backend.worker)
    }

    func begin(_ descriptor: Int32) throws(SystemError) {
        try adopt(descriptor)
        setDeadline(BackendConnection.headMilliseconds)
    }

    // MARK: Streams

    func take(_ events: [UInt8]) -> Bool {
        guard case .streaming(let isChunked) = state, isConnected else { return false }
        send(isChunked ? DemoStream.chunk(events) : events)
        if pendingCount > BackendConnection.pendingLimitBytes {
            leave(abortively: true)
            return false
        }
        return true
    }

    // MARK: Callbacks of the link

    override func linkReceived(_ bytes: UnsafeMutableRawBufferPointer) {
        var rest = UnsafeRawBufferPointer(bytes)
        while case .awaitingHead = state, !rest.isEmpty {
            do throws(HTTPError) {
                let consumed = try scanner.receive(rest.bindMemory(to: UInt8.self).span)
                partialHead.append(contentsOf: rest[..<(consumed ?? rest.count)])
                guard let consumed else { return }
                rest = UnsafeRawBufferPointer(rebasing: rest[consumed...])
                let head = try RequestHead.parse(partialHead.span, limits: BackendConnection.headLimits)
                partialHead = []
                scanner.reset()
                setDeadline(BackendConnection.keepAliveMilliseconds)
                answer(head)
            } catch {
                answer(Answer(status: error.status, text: "\(error.reason)\n"), keepsAlive: false)
            }
            // A client that sends request after request without reading the answers.
            if pendingCount > BackendConnection.pendingLimitBytes { return leave(abortively: true) }
        }
    }

    override func linkReachedEnd() { leave(abortively: false) }
    override func linkFailed(_ error: SystemError, while operation: LinkOperation) { leave(abortively: true) }
    override func linkPeerLeft(isBroken: Bool) { leave(abortively: isBroken) }

    override func deadlineReached() {
        if case .streaming = state { return beat() }
        guard worker.now >= deadline else { return wake(atMilliseconds: deadline) }
        leave(abortively: false)
    }

    /// Sends what is due on one of the eight streams; other streams have no deadline.
    private func beat() {
        guard let arrival = rhythm?.arrival else { return }
        if let number = rhythm?.stream.takeDue(now: worker.now) {
            guard take(DemoStream.beat(number, connections: backend.countConnections(arrival.isSecured))) else { return }
        }
        if let moment = rhythm?.stream.nextMoment { wake(atMilliseconds: moment) }
    }

    private func setDeadline(_ milliseconds: Int64) {
        deadline = worker.now + milliseconds
        wake(atMilliseconds: deadline)
    }

    private func leave(abortively: Bool) {
        if case .closed = state { return }
        state = .closed
        if abortively { abort() } else { close() }
        backend.connectionClosed(self)
    }

    // MARK: Answers

    /// A short answer that is not a stream.
    private struct Answer {
        var status: Int
        var text: String = ""
        var html: [UInt8]?
        var challenge = false
    }

    private func answer(_ head: RequestHead) {
        guard head.framing == .none || head.framing == .length(0) else {
            return answer(Answer(status: 413, text: "This server reads no request bodies.\n"), keepsAlive: false)
        }
        guard head.method == .get || head.method == .head else {
            return answer(Answer(status: 405, text: "Only GET and HEAD are served here.\n"), keepsAlive: false)
        }
        let target = head.bytes[head.target]
        let path = String(decoding: target.prefix { $0 != UInt8(ascii: "?") }, as: UTF8.self)
        switch path {
        case "/events" where !isAuthorized(head), "/events-kept" where !isAuthorized(head):
            let text = "This stream wants the header field Authorization: Bearer, which no EventSource can send.\n"
            answer(Answer(status: 401, text: text, challenge: true), to: head)
        case "/events", "/events-open", "/events-kept":
            beginStream(head, isPublic: true)
            // Heartwire comes back as soon as it may, and a server's `retry` counts for it too.
            if case .streaming = state { _ = take(backend.listen(self, saysRetry: path != "/events-kept")) }
        case "/feed":
            guard let page = PageName(inTarget: target) else {
                return answer(Answer(status: 400, text: "The feed wants the name of a page: /feed?page=NAME\n"), to: head)
            }
            guard head.method == .head || backend.feed.join(self, page: page) else {
                return answer(Answer(status: 503, text: "Too many pages look on.\n"), to: head)
            }
            beginStream(head, isPublic: false)
        default:
            if let page = backend.pages[path] { return answer(Answer(status: 200, html: page), to: head) }
            guard let stream = RhythmicStream(path: path, now: worker.now) else {
                return answer(Answer(status: 404, text: "Nothing here.\n"), to: head)
            }
            beginStream(head, isPublic: true)
            guard case .streaming = state else { return }
            let arrival = ArrivalNote(head)
            rhythm = (stream, arrival)
            guard take(DemoStream.version(arrival.version, retryMilliseconds: backend.timing.reconnectMilliseconds)) else { return }
            wake(atMilliseconds: stream.nextMoment)
        }
    }

    private func isAuthorized(_ head: RequestHead) -> Bool {
        guard head.count(of: .authorization) == 1, let value = head.firstValue(of: .authorization) else { return false }
        let words = head.bytes[value].split(separator: UInt8(ascii: " "))
        return words.count == 2 && String(decoding: words[0], as: UTF8.self).lowercased() == "bearer"
            && words[1].elementsEqual(backend.token.utf8)
    }

    /// Sends the head of a stream. Pages of any origin may read a public one, as old backends often allow.
    private func beginStream(_ head: RequestHead, isPublic: Bool) {
        let isChunked = head.minorVersion == 1
        var writer = HeadWriter()
        writer.statusLine(200)
        writer.field("Content-Type", "text/event-stream")
        writer.field("Cache-Control", "no-cache")
        if isPublic { writer.field("Access-Control-Allow-Origin", "*") }
        if isChunked { writer.field("Transfer-Encoding", "chunked") } else { writer.field("Connection", "close") }
        writer.end()
        send(writer.bytes)
        if head.method == .head { return finish(keepsAlive: head.keepsAlive && isChunked) }
        state = .streaming(isChunked: isChunked)
    }

    private func answer(_ answer: Answer, to head: RequestHead) {
        self.answer(answer, keepsAlive: head.keepsAlive && head.minorVersion == 1, isHeadOnly: head.method == .head)
    }

    private func answer(_ answer: Answer, keepsAlive: Bool, isHeadOnly: Bool = false) {
        let body = answer.html ?? Array(answer.text.utf8)
        var writer = HeadWriter()
        writer.statusLine(answer.status)
        if answer.html != nil {
            writer.field("Content-Type", "text/html; charset=utf-8")
            // The page's URL holds a token, and the page needs no other resource.
            writer.field("Referrer-Policy", "no-referrer")
            writer.field("X-Content-Type-Options", "nosniff")
            writer.field("Content-Security-Policy", Page.securityPolicy)
        } else {
            writer.field("Content-Type", "text/plain; charset=utf-8")
        }
        writer.field("Cache-Control", "no-store")
        if answer.challenge {
            writer.field("WWW-Authenticate", "Bearer realm=\"legacy backend\"")
            writer.field("Access-Control-Allow-Origin", "*")
        }
        if answer.status == 405 { writer.field("Allow", "GET, HEAD") }
        writer.field("Content-Length", body.count)
        if !keepsAlive { writer.field("Connection", "close") }
        writer.end()
        send(isHeadOnly ? writer.bytes : writer.bytes + body)
        finish(keepsAlive: keepsAlive)
    }

    private func finish(keepsAlive: Bool) {
        if keepsAlive { return }
        state = .closing
        // Then the client or the deadline closes: closing first could reset what the client has not read yet.
        shutdownWhenDrained()
    }
}
