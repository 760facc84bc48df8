// What a service's answer means: a pure function of its status and fields.
//
//     2xx           the request passes, with the fields that the route takes
//     401, 403      the request is refused, in the service's words
//     301 302 303 307 308 with a Location: the client has to log in there first
//     all others    the service does not say whether the request may pass

import Bytes
import Credentials
import HTTP

/// What a service says about a request.
package enum ForwardAuthVerdict: Sendable {
    /// The request may go to a server, which gets these fields. The values of `Set-Cookie` belong to the client for which the service was
    /// asked: with such a value, a service renews its session.
    case allowed([ForwardAuthQuestion.Field], cookies: [[UInt8]] = [])
    /// The request is refused.
    case denied(ForwardAuthDenial)
    /// The request is refused, and the client can log in somewhere.
    case redirected(ForwardAuthRedirection)
    /// The answer says nothing that counts. The words are for the log.
    case unusable(String)

    /// The bytes of an answer that is kept, about.
    var bytes: Int {
        switch self {
        case .allowed(let fields, _): fields.reduce(64) { $0 + $1.name.utf8.count + $1.value.count + 64 }
        case .denied(let denial): denial.challenges.reduce(denial.body.count + 128) { $0 + $1.count + 32 }
        case .redirected(let redirection): redirection.cookies.reduce(redirection.location.count + 128) { $0 + $1.count + 32 }
        case .unusable: 0
        }
    }

    /// Whether the answer is good for another client that asks the same. One with a cookie is meant for one client only; a client that
    /// needs no more than a refusal does not need the cookie of a login.
    func isForOthers(needingRefusalOnly: Bool) -> Bool {
        switch self {
        case .allowed(_, let cookies): cookies.isEmpty
        case .redirected(let redirection): needingRefusalOnly || redirection.cookies.isEmpty
        case .denied, .unusable: true
        }
    }
}

/// A service's refusal, as clients get it that can read it.
package struct ForwardAuthDenial: Sendable, Equatable {
    /// 401 or 403.
    package let status: Int
    /// The values of `WWW-Authenticate`.
    package let challenges: [[UInt8]]
    /// The type of the body; nil for none.
    package let contentType: [UInt8]?
    /// The body; empty where there is none, where it is too long, and where it is compressed.
    package let body: [UInt8]
}

/// A service's redirection to a login.
package struct ForwardAuthRedirection: Sendable, Equatable {
    /// 301, 302, 303, 307 or 308.
    package let status: Int
    /// Where the login is.
    package let location: [UInt8]
    /// The values of `Set-Cookie`. They belong to the client for which the service was asked.
    package let cookies: [[UInt8]]
}

/// Reads the answers of one service.
package struct ForwardAuthReader: Sendable {
    /// The longest value of a field that a server gets, in bytes.
    static let mostValueBytes = 4_096

    /// The names of the fields that servers get, as they are written and in lower case.
    private let taken: [(name: String, lowercased: [UInt8])]

    /// A reader that takes these fields out of answers.
    package init(taking names: [String]) { taken = names.map { ($0, Array($0.lowercased().utf8)) } }

    /// Whether an answer's body goes to a client.
    static func needsBody(ofStatus status: Int) -> Bool { status == 401 || status == 403 }

    /// What an answer means. `body` is empty where it was not read.
    func verdict(_ head: ResponseHead, body: [UInt8]) -> ForwardAuthVerdict {
        switch head.status {
        case 200...299: allowed(head)
        case 401, 403: .denied(denial(head, body))
        case 301, 302, 303, 307, 308: redirected(head)
        default: .unusable("the service answered \(head.status)")
        }
    }

    private func allowed(_ head: ResponseHead) -> ForwardAuthVerdict {
        var fields: [ForwardAuthQuestion.Field] = []
        let bytes = head.bytes.span
        for (name, lowercased) in taken {
            // Several fields of one name are one list (RFC 9110 section 5.3).
            var value: [UInt8] = []
            for field in head.fields where !field.value.isEmpty && lowercasedBytes(bytes, field.name) == lowercased {
                if !value.isEmpty { value += Array(", ".utf8) }
                value += head.bytes[field.value]
            }
            guard !value.isEmpty else { continue }
            guard value.count <= ForwardAuthReader.mostValueBytes else {
                return .unusable(
                    "the service's field \(name) has \(value.count) bytes; at most \(ForwardAuthReader.mostValueBytes) are allowed")
            }
            guard !ControlCharacters.areHeld(by: value) else { return .unusable("the service's field \(name) holds a control character") }
            fields.append((name, value))
        }
        return .allowed(fields, cookies: ForwardAuthReader.cookies(of: head))
    }

    private static func cookies(of head: ResponseHead) -> [[UInt8]] {
        head.fields.filter { $0.known == .setCookie }.map { Array(head.bytes[$0.value]) }
    }

    private func denial(_ head: ResponseHead, _ body: [UInt8]) -> ForwardAuthDenial {
        let challenges = head.fields.filter { $0.known == .wwwAuthenticate }.map { Array(head.bytes[$0.value]) }
        let body = head.contentEncodingIsIdentity ? body : []
        let type = body.isEmpty ? nil : head.firstValue(of: .contentType).map { Array(head.bytes[$0]) }
        return ForwardAuthDenial(status: head.status, challenges: challenges, contentType: type, body: body)
    }

    private func redirected(_ head: ResponseHead) -> ForwardAuthVerdict {
        guard head.count(of: .location) == 1, let location = head.firstValue(of: .location), !location.isEmpty else {
            return .unusable("the service answered \(head.status) without one Location")
        }
        return .redirected(
            ForwardAuthRedirection(
                status: head.status, location: Array(head.bytes[location]), cookies: ForwardAuthReader.cookies(of: head)))
    }
}
