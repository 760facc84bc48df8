// The directives of `upstream` blocks, and of the `tls` blocks inside them.
//
// Invariant: as in Interpreter.swift; directives that depend on each other are checked when the whole block has been read.

/// An upstream while its block is read.
struct UpstreamDraft {
    var upstream: Upstream
    var security = ServerSecurity()
}

/// Whether servers of one upstream are `https://`: all of them or none.
struct ServerSecurity {
    var isSecure: Bool?
    /// The upstream's `tls` block.
    var block: Word?
}

extension UpstreamDraft: DirectiveModel {
    static var scope: Scope { .upstream }
    static var defaults: UpstreamDraft { UpstreamDraft(upstream: Upstream(name: "", servers: [])) }

    static let rows: [Row<UpstreamDraft>] = [
        .list("server", "ADDRESS...", default: "(required)", "Servers of the group.") { interpreter, word, draft in
            interpreter.addServer(word, to: &draft.upstream.servers, &draft.security)
        },
        .word(
            "balance", \.upstream.balance, [("round_robin", .roundRobin), ("least_connections", .leastConnections)],
            "How the server of a request is chosen."),
        .number(
            "connect_timeout", \.upstream.connectTimeoutMilliseconds, .milliseconds(10...300_000),
            "How long connecting to a server may take."),
        .number(
            "response_timeout", \.upstream.responseTimeoutMilliseconds, .milliseconds(10...DirectiveTable.day),
            "How long a server may take to begin its response; then 504."),
        .number(
            "idle_timeout", \.upstream.idleTimeoutMilliseconds, .milliseconds(10...DirectiveTable.day),
            "How long an ordinary response may go without a byte."),
        .numberOrOff(
            "stream_silence_timeout", \.upstream.streamSilenceTimeoutMilliseconds, .milliseconds(100...DirectiveTable.day),
            "How long an event stream may go without a byte from its server."),
        .number(
            "idle_connections", \.upstream.idleConnections, .count(0...10_000),
            "How many idle connections are kept for each worker and server."),
        .number(
            "keep_alive", \.upstream.idleConnectionMilliseconds, .milliseconds(100...DirectiveTable.hour),
            "How long an idle connection to a server is kept; set less than the server's own time."),
        .number(
            "failure_cooldown", \.upstream.failureCooldownMilliseconds, .milliseconds(0...DirectiveTable.hour),
            "How long a server that could not be reached is not chosen."),
        .own(
            "tls", "{ ... }", arguments: 0...0, block: .required, default: "(as below)",
            "How Heartwire speaks TLS to servers at https://."
        ) { interpreter, statement, draft in
            var tls = UpstreamTLS()
            interpreter.interpret(statement.block, into: &tls)
            draft.upstream.tls = tls
            draft.security.block = statement.name
        },
    ]
}

extension UpstreamTLS: DirectiveModel {
    static var scope: Scope { .upstreamTLS }
    static var defaults: UpstreamTLS { UpstreamTLS() }

    static let rows: [Row<UpstreamTLS>] = [
        .text("authority", "FILE", \.authorityFile, default: "(the system's)", "The authorities that are trusted."),
        .own(
            "certificate", "FILE KEYFILE", arguments: 2...2, default: "(none)", "Our own certificate with its chain, and its key."
        ) { _, statement, tls in
            tls.certificate = Certificate(certificateFile: statement.arguments[0].text, keyFile: statement.arguments[1].text)
        },
        .own(
            "server_name", "NAME", default: "(each server's host)",
            "The name that Heartwire asks for (SNI) and that servers have to prove."
        ) { interpreter, statement, tls in
            let word = statement.arguments[0]
            do throws(Malformed) { tls.serverName = try Endpoint.checked(host: word.text, in: word.text) } catch {
                interpreter.error(word, error.message)
            }
        },
        .own("verification", "on|insecure_off", default: "on", "Whether servers have to prove who they are.") {
            interpreter, statement, tls in
            let word = statement.arguments[0]
            guard let isVerified = interpreter.choose(word, from: [("on", true), ("insecure_off", false)]) else { return }
            tls.isVerified = isVerified
            if !isVerified {
                interpreter.warn(
                    word,
                    "servers need not prove who they are: anybody on the network path can read and change everything, tokens included")
            }
        },
    ]
}

extension Interpreter {
    /// Reads the block of an upstream with this name.
    mutating func readUpstream(_ block: [Statement], name: String) -> Upstream {
        var draft = UpstreamDraft(upstream: Upstream(name: name, servers: []))
        interpret(block, into: &draft)
        if let block = draft.security.block, draft.security.isSecure == false {
            error(block, "these servers are spoken to in plain HTTP; write https:// before their addresses")
        }
        if draft.security.isSecure == true, draft.upstream.tls == nil { draft.upstream.tls = UpstreamTLS() }
        return draft.upstream
    }

    /// Adds a server to those of one upstream.
    mutating func addServer(_ word: Word, to servers: inout [Upstream.Server], _ security: inout ServerSecurity) {
        do throws(Malformed) {
            let (server, isSecure) = try Endpoint.server(word.text)
            if let others = security.isSecure, others != isSecure {
                error(word, "the servers of one upstream are all http:// or all https://")
            }
            security.isSecure = isSecure
            if servers.contains(server) {
                error(word, "the server \(server) is named twice")
            } else {
                servers.append(server)
            }
        } catch { self.error(word, error.message) }
    }
}
