// Fuzzes the readers of signed tokens: JSON, and tokens in their compact form with a secret that is known here, so that what is behind
// the signature is reached. No crash, and what is read has one meaning.

import COpenSSL

private let secret = [UInt8](repeating: 7, count: 32)
nonisolated(unsafe) private let checker = TokenChecker(
    [
        TokenIssuer(
            rules: IssuerRules(label: "main", name: "i", audiences: nil, algorithms: [.HS256]),
            keys: .configured(KeySet([VerificationKey(secret: secret, name: nil, algorithm: .HS256)])))
    ], Fingerprinter(key: [1]))
private let seal = TicketSeal(keys: [secret, [UInt8](repeating: 8, count: 32)], name: "fuzz")!
private let rules = {
    var rules = ClaimRules()
    rules.scopes = ["a"]
    rules.requirements = [ClaimRules.Requirement(claim: "a.b", values: ["c"])]
    rules.fields = [ClaimRules.Field(name: "X-User", claim: "sub"), ClaimRules.Field(name: "X-Other", claim: "a.b")]
    return rules
}()

private func base64URL(_ bytes: [UInt8]) -> [UInt8] { Base64URL.encode(bytes.span) }

/// What can be opened is what was sealed. The input is a ticket, and the contents of one.
private func fuzzTickets(_ input: [UInt8]) {
    if (try? seal.open(input.span)) != nil { fatalError("nobody has sealed this") }
    guard let contents = TicketContents.read(input) else { return }
    require(contents.written == input, "two spellings of the same contents")
    let salt = [UInt8](repeating: 1, count: TicketSeal.saltBytes)
    guard let ticket = try? seal.seal(contents, salt: salt), let opened = try? seal.open(ticket.span) else {
        fatalError("what was sealed cannot be opened")
    }
    require(opened.written == input, "the contents of a ticket change")
    guard !ticket.isEmpty else { return }
    var changed = ticket
    changed[Int(input[0]) * changed.count / 256] ^= 1
    if (try? seal.open(changed.span)) != nil { fatalError("a changed ticket was opened") }
}

/// The first line is a header, the rest a payload; both are signed.
private func signed(_ header: [UInt8], _ payload: [UInt8]) -> [UInt8] {
    let text = base64URL(header) + Array(".".utf8) + base64URL(payload)
    return text + Array(".".utf8) + base64URL(Fingerprinter.digest(key: secret, of: text.span)!)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    if let decoded = Base64URL.decode(input.span) { require(base64URL(decoded) == input, "two spellings of the same bytes") }
    if let object = try? JSONObject(reading: input, limits: JSONLimits(depth: 16, members: 2_000)) {
        require(String(validating: input, as: UTF8.self) != nil, "no UTF-8")
        if let date = object["exp"].flatMap(NumericDate.init) { require(abs(date.seconds) <= NumericDate.latest + 1, "no date") }
        _ = object["keys"]?.elements?.compactMap(\.object)
    }
    fuzzTickets(input)
    _ = try? KeySet.keys(in: input, for: [.RS256, .ES256, .EdDSA])
    _ = checker.check(input.span, checker.digest(of: input.span), by: [0], now: 1_800_000_000, monotonic: 0)
    let line = input.firstIndex(of: 0x0A) ?? input.endIndex
    let token = signed(Array(input[..<line]), Array(input[min(line + 1, input.endIndex)...]))
    let verdict = checker.check(token.span, checker.digest(of: token.span), by: [0], now: 1_800_000_000, monotonic: 0)
    if case .good(let token) = verdict {
        require(token.identity.expiresSeconds + 30 > 1_800_000_000, "it is over")
        if let values = try? rules.values(of: token) {
            for value in values { require(!value.value.contains { $0 < 0x20 || $0 == 0x7F }, "a field that ends early") }
        }
        _ = rules.fault(of: token)
    }
    if case .refused(.signature) = verdict { fatalError("its signature is good") }
    return 0
}
