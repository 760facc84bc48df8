// What follows from each way in which a client's side fails: the table as a whole.

import Configuration
import HTTP
import Telemetry
import Testing

@testable import Downstreams
@testable import Exchanges
@testable import Proxy
@testable import Reactor

@Suite("A client's side that fails")
struct ClientFailureTests {
    private static let departures: [(ClientDeparture, Cause, evidence: String)] = [
        (.ended(.plain, .betweenMessages), .clientClosed, "FIN received"),
        (.ended(.authentic, .insideRecord), .clientClosed, "close_notify received in the middle of a TLS record"),
        (
            .ended(.unauthenticated, .insideRequestBody), .clientClosed,
            "FIN received without close_notify in the middle of the request's body"
        ),
        (.broke(.connectionReset, .reading, isInsideRecord: false), .clientReset, "read: "),
        (.broke(.timedOut, .writing, isInsideRecord: false), .clientVanished, "write: "),
        (.brokeWhileStalled(.timedOut, .writing, isInsideRecord: true), .clientStalled, "write: "),
        (.stalled(waitingBytes: 7, milliseconds: 9), .clientStalled, "took none of 7 pending bytes for 9 ms"),
        (.vanished(unacknowledgedMilliseconds: 8, retransmits: 3), .clientVanished, "nothing acknowledged for 8 ms, 3 retransmissions"),
        (.tlsFailed(TLSFailure(.record, "bad")), .clientTLSError, "bad"),
        (.handshakeTimeout(milliseconds: 5), .handshakeTimeout, "no TLS handshake within 5 ms"),
        (.proxyHeaderTimeout(milliseconds: 5), .requestTimeout, "no whole PROXY header within 5 ms"),
        (.proxyHeaderCutOff, .clientProtocolError, "the connection ended in the middle of the PROXY header"),
        (.untrustedProxy, .clientProtocolError, "the listener takes the PROXY protocol, from trusted_proxies only"),
    ]

    @Test("has one cause on the client's side, and evidence of what was seen", arguments: departures.indices)
    func departure(_ index: Int) {
        let (departure, cause, evidence) = ClientFailureTests.departures[index]
        let ending = Ending(departure)
        #expect(ending.cause == cause && ending.evidence.hasPrefix(evidence), "\(ending)")
        #expect(ending.cause.side == .client && ending.limit == nil)
        switch departure {
        case .broke(let error, _, _), .brokeWhileStalled(let error, _, _): #expect(ending.errnoName == error.name)
        default: #expect(ending.errnoName == nil)
        }
    }

    @Test("is answered with one status where it can be answered, and only what has no room is an overload")
    func answers() throws {
        let world = try ScriptedProxy(.init(name: "u", servers: [.init(host: "s", port: 80)]), addresses: [[]])
        let worker = world.proxy.exchanges
        let answers: [(RequestFailure, status: Int, Cause, isOverload: Bool)] = [
            (.brokeRules(.truncatedHead), 400, .clientProtocolError, false), (.brokeRules(.headTooLarge), 431, .refusedByLimit, false),
            (.headTimeout(milliseconds: 1), 408, .requestTimeout, false), (.bodyTimeout(milliseconds: 1), 408, .requestTimeout, false),
            (.plainText, 400, .clientTLSError, false), (.tooMany(.connections), 503, .refusedByLimit, true),
            (.tooMany(.connectionsPerClient), 503, .refusedByLimit, true), (.noRoom(waitingBytes: 1), 503, .refusedByLimit, true),
        ]
        for (failure, status, cause, isOverload) in answers {
            let refusal = worker.refusal(of: failure)
            #expect(refusal.status == status && refusal.cause == cause && refusal.isOverload == isOverload, "\(failure)")
            #expect((refusal.limit != nil) == (cause == .refusedByLimit), "\(failure)")
        }
        #expect(Refusal.exhausted(.tooManyFiles).isOverload)
        #expect(worker.counted().value(of: .handshakes, HandshakeOutcome.failed) == 1, "plain text is a handshake that failed")
    }
}

@Suite("The phases of an exchange")
struct PhaseTests {
    private let phases: [(name: String, Phase)] = [
        ("deciding", .deciding), ("authorizing", .authorizing(PendingRequest(head: [], hostOffset: nil))),
        ("connecting", .connecting(PendingRequest(head: [], hostOffset: nil))),
        ("awaitingHead", .awaitingHead(PendingRequest(head: [], hostOffset: nil))),
        ("waiting", .waiting(PendingRequest(head: [], hostOffset: nil))), ("relaying", .relaying), ("streaming", .streaming),
        ("tunnelling", .tunnelling(.open)),
        ("clientEnded", .tunnelling(.clientEnded)), ("serverEnded", .tunnelling(.serverEnded)), ("finished", .finished),
    ]

    @Test("follow each other as the diagram says, and none follows the last")
    func table() {
        let allowed: [String: Set<String>] = [
            "deciding": ["authorizing", "connecting", "streaming"],
            "authorizing": ["authorizing", "connecting", "waiting", "streaming"],
            "connecting": ["connecting", "awaitingHead", "waiting"],
            "awaitingHead": [
                "authorizing", "connecting", "waiting", "relaying", "streaming", "tunnelling", "clientEnded", "serverEnded",
            ],
            "waiting": ["authorizing", "connecting", "waiting"], "tunnelling": ["clientEnded", "serverEnded"],
        ]
        for (name, phase) in phases {
            for (next, other) in phases {
                let expected = name != "finished" && (next == "finished" || allowed[name]?.contains(next) == true)
                #expect(phase.allows(other) == expected, "\(name) to \(next)")
            }
            #expect((phase.request != nil) == ["authorizing", "connecting", "awaitingHead", "waiting"].contains(name))
        }
    }
}
