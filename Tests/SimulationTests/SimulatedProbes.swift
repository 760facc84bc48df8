// Those who use the proxy's endpoint for probes in a simulated world: some know the secret, some do not, some bring an old script or one
// that was played before. They come at any moment, also in bursts, and leave at any moment. Invariant: each request has a connection and an
// address of its own, so that the log tells them apart although all ask for one path.

import Configuration
import Credentials
import Foundation
import ProbeScripts
import TestSupport

@testable import Reactor

/// One request to the endpoint, and what came of it.
final class ProbeAsking {
    /// What is wrong with it.
    enum Kind: CaseIterable {
        case right, wrongSecret, otherScript, noProof, tooOld, replayed, malformed, posted, seen
    }

    let kind: Kind
    let script: ProbeScript
    /// The asking whose nonce it brings again.
    let earlier: ProbeAsking?
    let askedAt: Int64
    let wire: Wire
    fileprivate(set) var reader = ResponseReader()
    /// When the body had come to which size.
    fileprivate(set) var arrived: [(byteCount: Int, at: Int64)] = []
    fileprivate(set) var deed: Deed?
    fileprivate(set) var endedAt: Int64?

    init(_ kind: Kind, _ script: ProbeScript, _ earlier: ProbeAsking?, _ wire: Wire, at moment: Int64) {
        (self.kind, self.script, self.earlier, self.wire, askedAt) = (kind, script, earlier, wire, moment)
    }

    var client: String { wire.socket.client.map { "\($0)" } ?? "" }
    var response: Response? { reader.responses.first }
}

/// The endpoint, and those who ask it.
final class SimulatedProbes {
    static let path = "/probe"
    private static let secretText = "a secret that is long enough"

    /// The endpoint with a file that holds the secret, made once for all runs.
    static let endpoint: ProbeEndpoint = {
        let file = OpenSSLProgram.makeFolder("simulation-probe") + "/secret"
        _ = FileManager.default.createFile(atPath: file, contents: Data(secretText.utf8), attributes: [.posixPermissions: 0o600])
        return ProbeEndpoint(path: path, secretFile: file)
    }()

    /// Whether probes come into this world. Hops are looked for by streams of other clients.
    static func areIn(_ seed: UInt64) -> Bool {
        var chance = Chance(seed: seed &+ 14_141)
        return chance.permille(300) && PlantedHop(ofWorld: seed) == nil
    }

    private let world: SimulatedWorld
    private let kernel: SimulatedKernel
    private let connect: (Int) -> Wire
    private let right = try! ProbeSecret(fileContent: Array(secretText.utf8))
    private let wrong = try! ProbeSecret(fileContent: Array("another one of sufficient length".utf8))
    private(set) var askings: [ProbeAsking] = []
    /// The proofs that were sent; none of them may be seen anywhere.
    private(set) var proofs: [String] = []
    private var isRetired = false

    init(_ world: SimulatedWorld, _ kernel: SimulatedKernel, connect: @escaping (Int) -> Wire) {
        (self.world, self.kernel, self.connect) = (world, kernel, connect)
    }

    /// Goes on until it retires: single requests, and now and then more than the endpoint plays at once.
    func begin() {
        guard !isRetired else { return }
        let isBurst = world.chance.permille(60)
        for _ in 0..<(isBurst ? 20 : 1) { ask() }
        world.after(Int64(world.chance.number(50...2_500))) { [self] in begin() }
    }

    func retire() { isRetired = true }

    private func ask() {
        let earlier = askings.isEmpty ? nil : world.chance.pick(askings)
        var kind = world.chance.permille(600) ? .right : world.chance.pick(ProbeAsking.Kind.allCases)
        if earlier == nil, kind == .replayed || kind == .seen { kind = .right }
        let isAgain = kind == .replayed || kind == .seen
        let script = isAgain ? again(earlier) : newScript(isLate: kind == .tooOld)
        let wire = connect(askings.count)
        let asking = ProbeAsking(kind, script, isAgain ? earlier : nil, wire, at: world.now)
        askings.append(asking)
        wire.changed = { [unowned self, unowned asking] in world.after(0) { self.read(asking) } }
        wire.send(Array(request(kind, script).utf8))
        guard world.chance.permille(300) else { return }
        let deed = world.chance.pick([Deed.left, .reset])
        world.after(Int64(world.chance.number(0...6_000))) { [self, unowned asking] in leave(asking, deed) }
    }

    private func newScript(isLate: Bool) -> ProbeScript {
        let digits = Array("0123456789abcdef")
        let nonce = String((0..<ProbeScript.nonceDigits).map { _ in world.chance.pick(digits) })
        let distance = isLate ? world.chance.pick([-3_700, 3_700, -90_000]) : world.chance.number(-1_800...1_800)
        var script = ProbeScript(nonce: nonce, askedAt: kernel.unixMilliseconds() / 1_000 + Int64(distance))
        script.holdMilliseconds = world.chance.permille(400) ? world.chance.number(0...4_000) : 0
        for _ in 0..<world.chance.number(0...4) {
            let gap = world.chance.number(50...1_500)
            script.parts.append(
                ProbeScript.Part(
                    world.chance.number(1...6), comments: world.chance.permille(300), afterEach: gap,
                    bytes: world.chance.permille(500) ? world.chance.number(1...(gap * ProbeScript.bytesPerSecond / 1_000)) : 0))
        }
        script.stays = world.chance.permille(150)
        script.forbidsBuffering = world.chance.permille(300)
        return script
    }

    /// A script with a nonce that came before.
    private func again(_ earlier: ProbeAsking?) -> ProbeScript {
        var script = ProbeScript(nonce: earlier?.script.nonce ?? "", askedAt: kernel.unixMilliseconds() / 1_000)
        script.parts = [ProbeScript.Part(2, afterEach: 100)]
        return script
    }

    private func request(_ kind: ProbeAsking.Kind, _ script: ProbeScript) -> String {
        let seen = ProbeScript.seenQuery(nonce: script.nonce, askedAt: script.askedAt)
        let query = kind == .seen ? seen : kind == .malformed ? script.query + ",1" : script.query
        var other = script
        other.holdMilliseconds += 1
        let secret = kind == .wrongSecret ? wrong : right
        let proof = secret.proof(of: kind == .otherScript ? other.query : query) ?? ""
        proofs.append(proof)
        let field = kind == .noProof ? "" : "X-Heartwire-Probe: \(proof)\r\n"
        let target = SimulatedProbes.path + (kind == .seen ? "/seen" : "") + "?" + query
        let body = kind == .posted ? "Content-Length: 0\r\n" : ""
        return "\(kind == .posted ? "POST" : "GET") \(target) HTTP/1.1\r\nHost: a\r\nCookie: hidden\r\n\(field)\(body)\r\n"
    }

    private func read(_ asking: ProbeAsking) {
        guard asking.endedAt == nil, !asking.wire.socket.isClosed else { return }
        asking.reader.receive(asking.wire.read())
        if let count = asking.response?.body.count, count > asking.arrived.last?.byteCount ?? 0 {
            asking.arrived.append((count, world.now))
        }
        if asking.reader.completeCount > 0 || asking.wire.isBroken || asking.wire.hasEnded { leave(asking, nil) }
    }

    private func leave(_ asking: ProbeAsking, _ deed: Deed?) {
        guard asking.endedAt == nil, !asking.wire.socket.isClosed else { return }
        asking.deed = deed
        asking.endedAt = world.now
        asking.wire.end(deed ?? .left)
    }
}
