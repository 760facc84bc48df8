// What `heartwire probe` is told on the command line. Nothing is opened or looked up here.
// Invariant: a value that was read can be used: a host, a port, a path, fields that can stand in a request.

import Bytes

/// The options of `heartwire probe`.
package struct ProbeOptions: Sendable, Equatable {
    /// A field that is added to each request.
    package struct Field: Sendable, Equatable {
        /// Its name.
        package var name: String
        /// Its value.
        package var value: String
    }

    /// A version of HTTP that can be asked for.
    package enum Version: String, Sendable {
        /// HTTP/1.1.
        case http11 = "1.1"
        /// HTTP/2.
        case http2 = "2"
    }

    /// Another place to connect to, as curl's `--connect-to HOST1:PORT1:HOST2:PORT2` has it. Empty texts and nil stand for any, and for
    /// the URL's own.
    package struct Detour: Sendable, Equatable {
        /// For requests to this host.
        package var host: String
        /// For requests to this port.
        package var port: UInt16?
        /// The host to connect to.
        package var otherHost: String
        /// The port to connect to.
        package var otherPort: UInt16?
    }

    /// Whether the URL begins with `https`.
    package var isSecure: Bool
    /// The host, without brackets.
    package var host: String
    /// The port.
    package var port: UInt16
    /// The path, with its slash.
    package var path: String
    /// The query, without the question mark; nil for none.
    package var query: String?
    /// The file with the endpoint's secret; nil for a URL of any server.
    package var secretFile: String?
    /// A file with the authorities to trust; nil for the system's.
    package var authorityFile: String?
    /// The version of HTTP that was asked for; nil for what the server chooses.
    package var version: Version?
    /// Other places to connect to.
    package var detours: [Detour] = []
    /// Fields that are added to each request.
    package var fields: [Field] = []
    /// For how long limits are searched; nil for the quick run.
    package var limitMilliseconds: Int?
    /// The numbers of the steps; nil for the usual ones.
    package var steps: [Int]?
    /// Whether the report is one object of JSON.
    package var isJSON = false
}

extension CommandLine {
    static let probeOptions = [
        Option(name: "secret-file", value: "FILE"), Option(name: "ca", value: "FILE"),
        Option(name: "connect-to", value: "HOST:PORT:ADDR:PORT", isRepeatable: true),
        Option(name: "header", value: "'NAME: VALUE'", isRepeatable: true), Option(name: "for", value: "DURATION"),
        Option(name: "steps", value: "LIST"), Option(name: "http", value: "VERSION"), Option(name: "json"),
    ]

    /// The options of `heartwire probe` out of their words.
    static func probe(_ values: [String: [String]], _ operands: [String]) throws(UsageError) -> ProbeOptions {
        guard operands.count == 1 else { throw UsageError(description: "'probe' takes one URL; see 'heartwire probe --help'") }
        var options = try readURL(operands[0])
        options.secretFile = values["secret-file"]?.last
        options.authorityFile = values["ca"]?.last
        if options.authorityFile != nil, !options.isSecure { throw UsageError(description: "--ca means nothing without an https:// URL") }
        for text in values["connect-to"] ?? [] { options.detours.append(try readDetour(text)) }
        for text in values["header"] ?? [] { options.fields.append(try readField(text)) }
        if let text = values["for"]?.last {
            do throws(Quantity.Failure) { options.limitMilliseconds = try Quantity.milliseconds(2_000...3_300_000).read(text) } catch {
                throw UsageError(description: "--for: \(printable(error.message))")
            }
        }
        if let text = values["http"]?.last {
            guard let version = ProbeOptions.Version(rawValue: text) else {
                throw UsageError(description: "--http: \(quoted(printable(text))) is not 1.1 or 2")
            }
            options.version = version
        }
        if let text = values["steps"]?.last {
            guard options.secretFile != nil else {
                throw UsageError(description: "--steps needs --secret-file FILE: without it there are none")
            }
            options.steps = try readSteps(text)
        }
        options.isJSON = values["json"] != nil
        return options
    }

    private static func readURL(_ text: String) throws(UsageError) -> ProbeOptions {
        let scheme = text.prefix { $0 != ":" }.lowercased()
        guard scheme == "http" || scheme == "https", text.dropFirst(scheme.count).hasPrefix("://") else {
            throw UsageError(description: "\(quoted(printable(text))) is no URL to probe; write http://HOST/PATH or https://HOST/PATH")
        }
        let rest = text.dropFirst(scheme.count + 3).prefix { $0 != "#" }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let target = rest[authority.endIndex...]
        guard target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw UsageError(description: "the URL holds a blank or a byte that has to be written as %XX")
        }
        let server: Upstream.Server
        do throws(Malformed) { server = try Endpoint.server("\(scheme)://\(authority)").server } catch {
            throw UsageError(description: printable(error.message))
        }
        let path = target.prefix { $0 != "?" }
        var options = ProbeOptions(
            isSecure: scheme == "https", host: server.host, port: server.port, path: path.isEmpty ? "/" : String(path))
        if path.endIndex < target.endIndex { options.query = String(target[target.index(after: path.endIndex)...]) }
        return options
    }

    /// `HOST1:PORT1:HOST2:PORT2`; an IPv6 address stands in brackets.
    private static func readDetour(_ text: String) throws(UsageError) -> ProbeOptions.Detour {
        var parts: [String] = [""]
        var isInside = false
        for character in text {
            switch character {
            case "[": isInside = true
            case "]": isInside = false
            case ":" where !isInside: parts.append("")
            default: parts[parts.count - 1].append(character)
            }
        }
        let wrong = UsageError(description: "--connect-to: \(quoted(printable(text))) is not HOST:PORT:ADDR:PORT")
        guard parts.count == 4, !isInside else { throw wrong }
        for part in [parts[1], parts[3]] where !part.isEmpty && UInt16(part) ?? 0 == 0 { throw wrong }
        for host in [parts[0], parts[2]] where !host.isEmpty {
            do throws(Malformed) { _ = try Endpoint.checked(host: host, in: text) } catch {
                throw UsageError(description: "--connect-to: \(printable(error.message))")
            }
        }
        return ProbeOptions.Detour(host: parts[0].lowercased(), port: UInt16(parts[1]), otherHost: parts[2], otherPort: UInt16(parts[3]))
    }

    private static func readField(_ text: String) throws(UsageError) -> ProbeOptions.Field {
        let name = text.prefix { $0 != ":" }
        let value = text.dropFirst(name.count + 1).drop { $0 == " " }
        guard !name.isEmpty, name.count < text.count, name.utf8.allSatisfy(isTokenCharacter),
            value.utf8.allSatisfy({ ($0 >= 0x20 && $0 != 0x7F) || $0 == 0x09 })
        else { throw UsageError(description: "--header: write 'NAME: VALUE', without control characters") }
        return ProbeOptions.Field(name: String(name), value: String(value))
    }

    /// `1-4,9`: numbers and ranges.
    private static func readSteps(_ text: String) throws(UsageError) -> [Int] {
        var steps: Set<Int> = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = word.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
            guard let first = ends.first, let last = ends.last, ends.count <= 2, first >= 1, last <= 10, first <= last else {
                throw UsageError(description: "--steps: \(quoted(printable(text))) is no list of steps from 1 to 10, such as 1-4,9")
            }
            steps.formUnion(first...last)
        }
        return steps.sorted()
    }
}
