// Streams that all clients with the same key read: one opens it, and the others join. Clients that come before the server has answered wait
// for its answer.
//
//     first client ──claims the key──▶ asks the server ──stream──▶ KeptStream ◀── waiting clients join, and later ones
//                                          └──another answer, or the server forbids it──▶ each waiting client asks for itself
//
// Invariant: at most one client of a key asks a server for a stream to share, over all workers.

import Bytes
import Configuration
import EventStream
import HTTP
import Reactor
import Telemetry

/// What a client does whose stream may be shared.
enum StreamClaim {
    /// It opens the stream, of this epoch.
    case opens(Epoch)
    /// It joins the stream that is there, or is being opened.
    case joins(StreamHome)
}

extension ResponseHead {
    /// Why the server's answer is for one client only, although others would send the same request; nil if it is for all.
    /// - Parameter fields: the names of the fields that are the same for all, in lower case.
    func notSharedBecause(_ fields: Set<[UInt8]>) -> NotSharedReason? {
        if contains(.setCookie) { return .setCookie }
        for value in self.fields where value.known == .vary {
            var elements = ListElements(value.value)
            while let element = elements.next(in: bytes.span) {
                guard fields.contains(lowercasedBytes(bytes.span, element)) else { return .vary }
            }
        }
        return nil
    }
}

extension CompiledContinuity {
    /// The fields of requests on which a shared stream may depend, in lower case: they are sent, and are the same for all.
    var sharedFields: Set<[UInt8]> {
        var names = ["accept", "accept-encoding", "origin", "host"] + policy.variedFields
        if case .values(let values) = policy.identity {
            for value in values {
                switch value {
                case .credentials: names += ["authorization", "cookie"]
                case .token: names.append("authorization")
                case .cookie: names.append("cookie")
                case .header(let name): names.append(name)
                case .clientCertificate: break
                }
            }
        }
        return Set(names.map { Array($0.utf8) })
    }
}

extension Exchange {
    /// How often a client asks who has its stream, where the one that had it is gone each time.
    private static let mostRounds = 3

    /// Joins the stream of the request's key, or becomes the one that opens it. True if a stream has been asked; `answered` follows.
    func shares(_ keeping: KeepingRequest, _ request: PendingRequest) -> Bool {
        guard keeping.terms.policy.share != nil, !keeping.isAlone, keeping.opening == nil else { return false }
        guard keeping.rounds < Exchange.mostRounds else {
            keeping.isAlone = true
            return false
        }
        keeping.rounds += 1
        switch proxy.keptStreams.claim(keeping.key) {
        case .opens(let epoch):
            keeping.opening = epoch
            return false
        case .joins(let home):
            ask(home, .join(keeping.gap, hasID: !keeping.id.isEmpty), keeping, request)
            return true
        }
    }

    /// The stream that the request was to open for all is not there: those who wait for it are told so.
    func closesOpening(_ keeping: KeepingRequest?, _ answer: ResumptionAnswer) {
        guard let keeping, let epoch = keeping.opening else { return }
        keeping.opening = nil
        proxy.keptStreams.dissolve(epoch, of: keeping.key, answer)
    }
}
