// What pages and programs have of credentials, whatever kind they are.

/// One user's credentials, and how the user gets more of them.
protocol CredentialHolder: AnyObject {
    /// What the paths of all its requests begin with.
    var pathPrefix: String { get }
    /// Whether its page gets others when it is told that these are over, or is refused.
    var getsOthers: Bool { get }
    /// Whether others make another URL, so that the page needs another EventSource for them.
    var isInURL: Bool { get }

    func renew()
    /// What a request brings: a part of its target, and lines of its head. The truth about that stands in `truth` from then on.
    func bring(for truth: Truth, isEventSource: Bool, isHTTP2: Bool) -> (query: String, lines: String)
    /// The head of an answer has come.
    func heard(_ response: Response, to truth: Truth)
}

extension CredentialHolder {
    func heard(_ response: Response, to truth: Truth) {}
}

extension Wallet: CredentialHolder {
    var pathPrefix: String { CredentialPlan.path }
    var getsOthers: Bool { renewal != .never }
    var isInURL: Bool { place == .query }

    func bring(for truth: Truth, isEventSource: Bool, isHTTP2: Bool) -> (query: String, lines: String) {
        let brought = bring(isEventSource: isEventSource, isHTTP2: isHTTP2)
        truth.credentials = brought.credentials
        return (brought.query, brought.lines)
    }
}
