// Who may ask the console for what: a pure decision about one request's head. The order matters: a request under a foreign name learns
// nothing at all, and a request without the token learns no path.
//
//   Host ──▶ health? ──▶ token ──▶ path ──▶ method ──▶ reading: not from another site's page
//    421       200        401      404       405    └─▶ acting:  JSON, from our own page, with the page's token
//                                                                 415        403             403
// Invariant: a request that acts came from the console's own page, whatever a browser adds to it by itself.

import Bytes
import Credentials
import HTTP

/// The console's decision about a request.
package enum GateDecision: Equatable, Sendable {
    /// It is served.
    case allowed(Resource)
    /// It is not.
    case refused(GateRefusal)
}

/// Why a request is not served.
package enum GateRefusal: Equatable, Sendable {
    /// It names another host: a name of somebody else may have been made to point here (DNS rebinding).
    case foreignHost
    /// It brings no token, or another one.
    case noToken
    /// The console has no such path.
    case unknownPath
    /// The path takes other methods.
    case wrongMethod(allowed: String)
    /// A page of another site asks.
    case foreignPage
    /// An action without the page's token.
    case noPageToken
    /// An action that is no JSON.
    case notJSON

    /// The status of the answer.
    package var status: Int {
        switch self {
        case .foreignHost: 421
        case .noToken: 401
        case .unknownPath: 404
        case .wrongMethod: 405
        case .foreignPage, .noPageToken: 403
        case .notJSON: 415
        }
    }

    /// One sentence for the operator who reads the answer.
    package var sentence: String {
        switch self {
        case .foreignHost:
            "The console is not asked by this name. Names besides localhost, 127.0.0.1 and [::1] stand in its 'allow_host'."
        case .noToken:
            "The console wants its token: 'Authorization: Bearer TOKEN', or the token as the password in a browser, with any user name."
        case .unknownPath: "The console has no such path."
        case .wrongMethod(let allowed): "The console takes \(allowed) here."
        case .foreignPage: "The console answers no page of another site."
        case .noPageToken: "The console acts only for its own page. Load the page again if the proxy was restarted."
        case .notJSON: "The console wants 'Content-Type: application/json'."
        }
    }
}

/// Decides about requests.
package struct Gate: Sendable {
    /// The field in which the page brings its token.
    static let pageTokenField: StaticString = "x-heartwire-page"

    let terms: ConsoleTerms

    /// What the page brings with an action.
    var pageToken: [UInt8] { terms.pageToken }

    /// A gate with these terms.
    package init(_ terms: ConsoleTerms) { self.terms = terms }

    /// Decides about a request by its head.
    package func decide(_ head: RequestHead) -> GateDecision {
        guard isAskedByName(head) else { return .refused(.foreignHost) }
        let resource = Resource(path: head.bytes.span.extracting(path(of: head)))
        if let resource, resource.isPublic { return decide(head, resource) }
        guard bringsToken(head) else { return .refused(.noToken) }
        guard let resource else { return .refused(.unknownPath) }
        return decide(head, resource)
    }

    private func decide(_ head: RequestHead, _ resource: Resource) -> GateDecision {
        guard resource.isAction else {
            guard head.method == .get || head.method == .head else { return .refused(.wrongMethod(allowed: "GET and HEAD")) }
            return isReadByForeignPage(head, resource) ? .refused(.foreignPage) : .allowed(resource)
        }
        guard head.method == .post else { return .refused(.wrongMethod(allowed: "POST")) }
        guard isJSON(head) else { return .refused(.notJSON) }
        guard comesFromOwnPage(head) else { return .refused(.foreignPage) }
        guard bringsPageToken(head) else { return .refused(.noPageToken) }
        return .allowed(resource)
    }

    // MARK: Whose request it is

    private func isAskedByName(_ head: RequestHead) -> Bool {
        terms.hosts.contains(Gate.withoutPort(lowercasedBytes(head.bytes.span, head.authority)))
    }

    private static func withoutPort(_ authority: [UInt8]) -> [UInt8] {
        guard let colon = authority.lastIndex(of: UInt8(ascii: ":")), authority[colon...].dropFirst().allSatisfy(isDigit) else {
            return authority
        }
        return Array(authority[..<colon])
    }

    /// The target without its query.
    private func path(of head: RequestHead) -> Range<Int> {
        let query = head.target.first { head.bytes[$0] == UInt8(ascii: "?") || head.bytes[$0] == UInt8(ascii: "#") }
        return head.target.lowerBound..<(query ?? head.target.upperBound)
    }

    private func bringsToken(_ head: RequestHead) -> Bool {
        guard let digest = terms.tokenDigest else { return true }
        guard head.count(of: .authorization) == 1, let value = head.firstValue(of: .authorization),
            let token = OperatorToken.presented(in: head.bytes.span, value)
        else { return false }
        return digest.matches(token.span)
    }

    // MARK: Where a browser says that it comes from

    /// Another site may link to the page. It may not load or read anything: it could not see the answer, but it could keep us busy.
    /// Programs send neither field, and are no pages.
    private func isReadByForeignPage(_ head: RequestHead, _ resource: Resource) -> Bool {
        guard isOriginOwnOrAbsent(head) else { return true }
        let isForeign = head.values(named: "sec-fetch-site").contains { site in
            !equals(head.bytes.span, site, "same-origin") && !equals(head.bytes.span, site, "none")
        }
        return isForeign && !(resource == .page && isLinkFollowed(head))
    }

    /// Whether the answer becomes a tab's whole document: no frame, no object, nothing that a page reads.
    private func isLinkFollowed(_ head: RequestHead) -> Bool {
        guard let mode = onlyValue(of: "sec-fetch-mode", in: head), let destination = onlyValue(of: "sec-fetch-dest", in: head) else {
            return false
        }
        return equals(head.bytes.span, mode, "navigate") && equals(head.bytes.span, destination, "document")
    }

    /// A browser says so itself, in one of two fields that no page can write; where it sends both, both have to say so.
    private func comesFromOwnPage(_ head: RequestHead) -> Bool {
        let sites = head.values(named: "sec-fetch-site")
        guard sites.count + head.count(of: .origin) > 0, sites.count <= 1 else { return false }
        if let site = sites.first, !equals(head.bytes.span, site, "same-origin") { return false }
        return isOriginOwnOrAbsent(head)
    }

    /// Whether the one `Origin` field names the console as the request does, or there is none.
    private func isOriginOwnOrAbsent(_ head: RequestHead) -> Bool {
        guard head.count(of: .origin) <= 1 else { return false }
        guard let origin = head.firstValue(of: .origin) else { return true }
        let written = lowercasedBytes(head.bytes.span, origin)
        let own = lowercasedBytes(head.bytes.span, head.authority)
        // A proxy in front may speak TLS in our place.
        return written == Array("https://".utf8) + own || written == Array("http://".utf8) + own
    }

    private func bringsPageToken(_ head: RequestHead) -> Bool {
        guard let value = onlyValue(of: Gate.pageTokenField, in: head) else { return false }
        return isEqualInConstantTime(head.bytes.span.extracting(value), terms.pageToken.span)
    }

    private func isJSON(_ head: RequestHead) -> Bool {
        guard head.count(of: .contentType) == 1, let value = head.firstValue(of: .contentType) else { return false }
        let end = value.first { head.bytes[$0] == UInt8(ascii: ";") } ?? value.upperBound
        return equalsIgnoringCase(head.bytes.span, trimmingBlanks(head.bytes.span, value.lowerBound..<end), "application/json")
    }

    private func onlyValue(of lowercasedName: StaticString, in head: RequestHead) -> Range<Int>? {
        let values = head.values(named: lowercasedName)
        return values.count == 1 ? values[0] : nil
    }
}
