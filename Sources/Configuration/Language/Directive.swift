// What a row of the tables of directives holds: what the manual says of a directive, and how its arguments are read into the model.
//
// `Readings.swift` makes the common kinds of rows; the files of the tables (`TopDirectives`, `LimitDirectives`, …) hold them.
// Invariant: a name is unique in its scope, and a default is the one that the model's initializers use.

/// A property of a model, in a form that can be stored in a table.
typealias Setting<Root, Value> = any WritableKeyPath<Root, Value> & Sendable

/// Where a directive may stand.
enum Scope: String, Sendable, CaseIterable {
    case top, listen, listenTLS, console, upstream, upstreamTLS, issuer, ticket, route, history, record, limits, timeouts
    case forwardAuth = "forward_auth"
    case token

    /// The scope as a message calls it.
    var phrase: String {
        switch self {
        case .top: "at the top level"
        case .listenTLS: "in the 'tls' block of a listener"
        case .upstreamTLS: "in the 'tls' block of an upstream"
        case .upstream, .issuer: "in an '\(rawValue)' block"
        case .listen, .console, .forwardAuth, .ticket, .token, .route, .history, .record, .limits, .timeouts: "in a '\(rawValue)' block"
        }
    }

    /// The heading of its section in the reference.
    var title: String {
        switch self {
        case .top: "Top level"
        case .listenTLS: "tls of a listener"
        case .upstreamTLS: "tls of an upstream"
        case .listen, .console, .upstream, .issuer, .forwardAuth, .ticket, .token, .route, .history, .record, .limits, .timeouts: rawValue
        }
    }
}

/// What is known about a directive without its model: the manual, the suggestions and the messages need no more.
struct Directive: Sendable {
    /// Whether a block follows the arguments.
    enum Block: Sendable { case none, optional, required }

    var name: String
    var scope: Scope
    /// The arguments as a manual writes them; empty for none.
    var syntax: String
    /// How many arguments it takes, the opening brace not counted.
    var argumentCount = 1...1
    var block = Block.none
    /// The arguments that have the same effect as no directive, or a sentence in parentheses.
    var defaultText: String
    /// Its meaning, in one sentence.
    var summary: String
    var isRepeatable = false
    /// Whether its arguments must never be shown.
    var isSecret = false
    /// The quantity that it sets, if any; the manual shows its range.
    var quantity: Quantity?
}

/// A value that the directives of one scope fill.
protocol DirectiveModel: SendableMetatype {
    /// Where its directives stand.
    static var scope: Scope { get }
    /// Its directives, in the order of the reference.
    static var rows: [Row<Self>] { get }
    /// The value without any directive. Rows take the defaults for the manual from it.
    static var defaults: Self { get }
}

/// One directive: what the manual says of it, and how a statement changes the model.
struct Row<Model: DirectiveModel>: Sendable {
    /// Reads a statement whose number of arguments and block are right. It reports what is wrong with them.
    typealias Reading = @Sendable (inout Interpreter, Statement, inout Model) -> Void

    var directive: Directive
    var read: Reading
    /// The number that it sets; the report of a reload shows the old and the new one.
    var number: Setting<Model, Int>?
}

/// What holds for all tables.
enum DirectiveTable {
    static let heartbeatInterval = Quantity.milliseconds(100...3_600_000)
    static let patternBytes = 1_024
    static let nameBytes = 64
    static let day = 86_400_000
    static let hour = 3_600_000

    /// Every directive, in the order of the reference.
    static let all: [Directive] = [
        described(FileDraft.self), described(ListenerDraft.self), described(ListenerTLS.self), described(ConsoleDraft.self),
        described(UpstreamDraft.self), described(UpstreamTLS.self), described(IssuerDraft.self), described(ForwardAuthDraft.self),
        described(TicketDraft.self), described(ServiceTokenDraft.self),
        described(RouteDraft.self),
        described(HistoryPolicy.self), described(RecordingPolicy.self),
        described(Limits.self), described(Timeouts.self),
    ].flatMap { $0 }

    private static func described<Model: DirectiveModel>(_ model: Model.Type) -> [Directive] { model.rows.map(\.directive) }
}
