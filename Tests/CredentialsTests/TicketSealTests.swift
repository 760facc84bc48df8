// The seal of tickets: against another implementation, and against everything that is not ours.

import Testing
import TestSupport

@testable import Credentials

@Suite("A sealed ticket")
struct TicketSealTests {
    private let key = [UInt8](0..<32)
    private let salt = [UInt8](100..<116)
    private let now: Int64 = 1_800_000_000

    private func seal(_ keys: [[UInt8]]? = nil, _ name: String = "events") -> TicketSeal { TicketSeal(keys: keys ?? [key], name: name)! }

    private func contents(
        _ token: String = "abc.def.ghi", path: String? = "/events/room/7", bond: TicketBond = .origin(Array("https://app.example.com".utf8))
    ) -> TicketContents {
        TicketContents(
            id: TicketID(salt), token: Token(copying: Array(token.utf8).span), expiresSeconds: now + 300, limitSeconds: now + 43_200,
            path: path.map { Array($0.utf8) }, bond: bond)
    }

    private func fault(of text: [UInt8], by seal: TicketSeal) -> TicketFault? {
        do throws(TicketFault) {
            _ = try seal.open(text.span)
            return nil
        } catch { return error }
    }

    /// Made by another implementation, from the same key, salt and contents.
    private static let vector =
        "AWMNzSlkZWZnaGlqa2xtbm9wcXJzzNNn06ZRmlTWR6ZRD5Zzy1cebCqS6s1p2Pkb5q9uR-jLu0dBn2pQ1IRUMxiaOzfaIBZHt_rM"
        + "bI7v3jE9IPKk0cDftq1wPJroEMC4XhKA3dX_aTT-_hXAN195wXp1YEboNsThBEM"

    @Test("is what another implementation of HKDF, AES-GCM and base64url makes of the same contents")
    func vector() throws {
        #expect(String(decoding: try seal().seal(contents(), salt: salt), as: UTF8.self) == Self.vector)
    }

    @Test("has a key of RFC 5869")
    func keyDerivation() {
        // Appendix A.1 and A.2, the first 32 bytes.
        var output = [UInt8](repeating: 0, count: 32)
        let secret = [UInt8](repeating: 0x0B, count: 22)
        #expect(TicketSeal.derive(from: secret.span, salt: [UInt8](0...0x0C), info: [UInt8](0xF0...0xF9), into: &output))
        #expect(hexadecimal(output) == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf")
        let long = [UInt8](0...0x4F)
        #expect(TicketSeal.derive(from: long.span, salt: [UInt8](0x60...0xAF), info: [UInt8](0xB0...0xFF), into: &output))
        #expect(hexadecimal(output) == "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c")
    }

    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    @Test(
        "says the same when it is opened",
        arguments: [
            TicketBond.none, .ownOrigin, .origin(Array("https://a".utf8)), .address(Array("::1".utf8)),
            .certificate([UInt8](repeating: 7, count: 32)),
        ])
    func roundTrip(bond: TicketBond) throws {
        for (token, path) in [("a", nil), ("abc.def.ghi", "/"), (String(repeating: "x", count: TicketContents.mostTokenBytes), "/events")] {
            let sealed = try seal().seal(contents(token, path: path, bond: bond), salt: salt)
            let opened = try seal().open(sealed.span)
            #expect(opened.id == TicketID(salt) && text(of: opened.token) == token && opened.bond == bond)
            #expect(opened.path == path.map { Array($0.utf8) } && opened.expiresSeconds == now + 300 && opened.limitSeconds == now + 43_200)
        }
    }

    @Test("opens nothing with any bit flipped, in the text and in its bytes")
    func flippedBits() throws {
        let sealed = try seal().seal(contents(), salt: salt)
        for index in sealed.indices {
            for bit in 0..<8 {
                var other = sealed
                other[index] ^= 1 << bit
                #expect(fault(of: other, by: seal()) != nil)
            }
        }
        let bytes = Base64URL.decode(sealed.span)!
        for index in bytes.indices {
            for bit in 0..<8 {
                var other = bytes
                other[index] ^= 1 << bit
                let expected: TicketFault = index == 0 ? .version : index < 5 ? .key : .seal
                #expect(fault(of: Base64URL.encode(other.span), by: seal()) == expected)
            }
        }
    }

    @Test("opens nothing when it is cut, or longer")
    func lengths() throws {
        let sealed = try seal().seal(contents(), salt: salt)
        for count in sealed.indices { #expect(fault(of: Array(sealed[..<count]), by: seal()) != nil) }
        let longer = Base64URL.decode(sealed.span)! + [0]
        #expect(fault(of: Base64URL.encode(longer.span), by: seal()) == .seal)
        #expect(fault(of: sealed + Array("=".utf8), by: seal()) == .shape)
        #expect(fault(of: [UInt8](repeating: UInt8(ascii: "A"), count: 1_000_000), by: seal()) == .shape)
        #expect(fault(of: [], by: seal()) == .shape)
    }

    @Test("opens nothing of another key or another block")
    func otherKeys() throws {
        let sealed = try seal().seal(contents(), salt: salt)
        var other = key
        other[31] ^= 1
        #expect(fault(of: sealed, by: seal([other])) == .key)
        #expect(fault(of: sealed, by: seal(nil, "event")) == .seal)
        #expect(fault(of: sealed, by: seal(nil, "Events")) == .seal)
    }

    @Test("is sealed by the first key and opened by all")
    func severalKeys() throws {
        let (old, new) = (key, [UInt8](repeating: 9, count: 32))
        let sealedByOld = try seal([old]).seal(contents(), salt: salt)
        let sealedByNew = try seal([new, old]).seal(contents(), salt: salt)
        #expect(fault(of: sealedByOld, by: seal([new, old])) == nil && fault(of: sealedByNew, by: seal([new])) == nil)
        #expect(fault(of: sealedByNew, by: seal([old])) == .key)
    }

    @Test("of contents that no proxy writes opens nothing")
    func foreignContents() {
        let good = contents().written
        #expect(TicketContents.read(good) != nil)
        for count in good.indices where count <= good.count - 11 { #expect(TicketContents.read(Array(good[..<count])) == nil) }
        func changed(_ index: Int, to byte: UInt8) -> TicketContents? {
            var bytes = good
            bytes[index] = byte
            return TicketContents.read(bytes)
        }
        // A bond of another kind, one that is longer than everything, and a path that is.
        #expect(changed(32, to: 5) == nil && changed(32, to: 1) == nil && changed(32, to: 0) == nil && changed(33, to: 0xFF) == nil)
        #expect(changed(58, to: 0xFF) == nil)
        // Ends before 1970 and after all years: the time since then has no number.
        #expect(
            changed(16, to: 0x80) == nil && changed(16, to: 0x7F) == nil && changed(24, to: 0x80) == nil && changed(24, to: 0x7F) == nil)
    }

    @Test("shows nothing of its key and of its token")
    func printing() {
        let seal = seal()
        let contents = contents()
        #expect("\(seal)" == "<seal>" && "\(contents)".contains("<token>") && !"\(contents)".contains("abc"))
        var dumped = ""
        dump(seal, to: &dumped)
        #expect(!dumped.contains("1"))
        #expect("\(contents.id)" == "6465666768696a6b6c6d6e6f70717273")
    }

    @Test("is base64url in its one spelling", arguments: 0..<20)
    func spelling(count: Int) {
        var random = SeededGenerator("TicketSealTests.spelling")
        for _ in 0..<20 {
            let bytes = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            let text = Base64URL.encode(bytes.span)
            let decoded = Base64URL.decode(text.span)
            #expect(text.count == Base64URL.count(ofBytes: count) && decoded == bytes)
        }
    }
}

@Suite("Tickets that were taken back")
struct RevokedTicketsTests {
    private func id(_ number: Int) -> TicketID { TicketID((0..<16).map { UInt8(truncatingIfNeeded: number >> (8 * (15 - $0))) }) }

    @Test("stay in the list until their end")
    func ends() {
        let list = RevokedTickets()
        #expect(list.revoke(id(1), of: 7, until: 100, now: 50) && list.contains(id(1)) && !list.contains(id(2)))
        #expect(list.revoke(id(1), of: 7, until: 60, now: 50) && list.contains(id(1)))
        // One that is over already needs no place.
        #expect(list.revoke(id(3), of: 7, until: 50, now: 50) && !list.contains(id(3)))
    }

    @Test("are never forgotten for others, and leave their places at their end")
    func full() {
        let list = RevokedTickets()
        func revoke(_ number: Int, until end: Int64, now: Int64) -> Bool {
            list.revoke(id(number), of: UInt64(truncatingIfNeeded: number), until: end, now: now)
        }
        for number in 0..<RevokedTickets.capacity { #expect(revoke(number, until: number == 5 ? 60 : 100, now: 50)) }
        #expect(!revoke(-1, until: 200, now: 50) && list.count == RevokedTickets.capacity)
        #expect(list.contains(id(0)) && !list.contains(id(-1)))
        #expect(revoke(7, until: 100, now: 50))
        #expect(revoke(-1, until: 200, now: 60) && !list.contains(id(5)) && list.contains(id(0)) && list.contains(id(-1)))
        #expect(!revoke(-2, until: 200, now: 99) && revoke(-2, until: 200, now: 100) && list.count == 2)
    }

    @Test("of one token have few places, so that nobody fills the list with it")
    func fullOfToken() {
        let list = RevokedTickets()
        for number in 0..<RevokedTickets.capacityOfToken { #expect(list.revoke(id(number), of: 1, until: 100, now: 50)) }
        #expect(!list.revoke(id(-1), of: 1, until: 100, now: 50) && list.revoke(id(-1), of: 2, until: 100, now: 50))
        #expect(list.revoke(id(0), of: 1, until: 100, now: 50))
        #expect(list.revoke(id(-2), of: 1, until: 200, now: 100) && list.count == 1)
    }
}
