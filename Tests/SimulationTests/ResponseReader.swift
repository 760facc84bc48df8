// Reads HTTP/1.1 responses piece by piece, as strictly as possible. It is a separate parser, so that the proxy does not judge itself.

/// One response as a client received it.
struct Response {
    var status = 0
    /// The head's fields, names in lower case.
    var fields: [(name: String, value: String)] = []
    var body: [UInt8] = []
    /// Whether all of it came, by its framing.
    var isComplete = false

    /// The first field of that name.
    subscript(name: String) -> String? { fields.first { $0.name == name }?.value }

    /// Whether it is about credentials.
    var isRefusal: Bool { [400, 401, 403].contains(status) }
    var isEventStream: Bool { self["content-type"]?.lowercased().hasPrefix("text/event-stream") == true }
}

/// The responses on one connection, in the order of the requests.
struct ResponseReader {
    private enum State {
        case head
        case length(Int)
        case chunkSize
        case chunk(Int)
        case chunkEnd
        case lastChunk
        case untilClose
        case broken
    }

    /// All final responses whose head came.
    private(set) var responses: [Response] = []
    /// The rule that was broken; nil if none was.
    private(set) var violation: String?
    private var state = State.head
    private var line: [UInt8] = []
    private let isHEAD: (Int) -> Bool

    /// `isHEAD` says whether the request of that number was a HEAD.
    init(isHEAD: @escaping (Int) -> Bool = { _ in false }) { self.isHEAD = isHEAD }

    /// How many responses are complete.
    var completeCount: Int { responses.last.map { responses.count - ($0.isComplete ? 0 : 1) } ?? 0 }

    private mutating func violate(_ rule: String) {
        violation = violation ?? rule
        state = .broken
    }

    /// The connection ended in order.
    mutating func ended() {
        if case .untilClose = state { complete() }
    }

    private mutating func complete() {
        responses[responses.count - 1].isComplete = true
        state = .head
    }

    mutating func receive(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            switch state {
            case .broken: return
            case .head: readHead(&rest)
            case .length(let count): if take(&rest, count) { complete() } else { state = .length(count - bytesTaken) }
            case .chunk(let count): state = take(&rest, count) ? .chunkEnd : .chunk(count - bytesTaken)
            case .untilClose: _ = take(&rest, .max)
            case .chunkSize:
                guard let line = readLine(&rest) else { return }
                guard let count = Int(line, radix: 16), count >= 0 else { return violate("a chunk's size is '\(line.prefix(40))'") }
                state = count == 0 ? .lastChunk : .chunk(count)
            case .chunkEnd:
                guard let line = readLine(&rest) else { return }
                guard line.isEmpty else { return violate("a chunk goes on behind its size") }
                state = .chunkSize
            case .lastChunk:
                guard let line = readLine(&rest) else { return }
                guard line.isEmpty else { return violate("there are trailers") }
                complete()
            }
        }
    }

    private var bytesTaken = 0

    /// Moves bytes of the body; true when that was all of them.
    private mutating func take(_ rest: inout ArraySlice<UInt8>, _ count: Int) -> Bool {
        let piece = rest.prefix(count)
        responses[responses.count - 1].body += piece
        rest = rest.dropFirst(piece.count)
        bytesTaken = piece.count
        return piece.count == count
    }

    private mutating func readLine(_ rest: inout ArraySlice<UInt8>) -> String? {
        guard let end = rest.firstIndex(of: 10) else {
            line += rest
            rest = []
            return nil
        }
        line += rest[..<end]
        rest = rest[(end + 1)...]
        defer { line = [] }
        guard line.last == 13 else {
            violate("a line ends without CR")
            return nil
        }
        return String(decoding: line.dropLast(), as: UTF8.self)
    }

    private var head: [String] = []

    private mutating func readHead(_ rest: inout ArraySlice<UInt8>) {
        while let line = readLine(&rest) {
            guard line.isEmpty else {
                head.append(line)
                continue
            }
            let lines = head
            head = []
            return begin(lines)
        }
    }

    private mutating func begin(_ lines: [String]) {
        let words = (lines.first ?? "").split(separator: " ")
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
            return violate("a response begins with '\((lines.first ?? "").prefix(60))'")
        }
        guard status >= 200 else { return }
        var response = Response(status: status)
        response.fields = lines.dropFirst().map { line in
            let colon = line.firstIndex(of: ":") ?? line.endIndex
            return (line[..<colon].lowercased(), String(line[colon...].dropFirst().drop { $0 == " " }))
        }
        let number = responses.count
        responses.append(response)
        if isHEAD(number) || status == 204 || status == 304 { return complete() }
        if response["transfer-encoding"] == "chunked" {
            if response["content-length"] != nil { violate("both a length and chunks") }
            state = .chunkSize
        } else if let length = response["content-length"] {
            guard let count = Int(length), count >= 0 else { return violate("the length is '\(length)'") }
            if count == 0 { complete() } else { state = .length(count) }
        } else {
            state = .untilClose
        }
    }
}
