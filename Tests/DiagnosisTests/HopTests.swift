// The table of hops against the file that it was made of, and which rows are candidates for which finding.

import Foundation
import Telemetry
import Testing

@testable import Diagnosis

@Suite("Hops")
struct HopTests {
    private func finding(
        _ kind: Finding.Kind, _ side: Finding.Side, _ seconds: Double, people: Int = 0, addresses: Int = 0, hops: [String] = [],
        agents: [String: Int] = [:]
    ) -> Finding {
        var finding = Finding(kind: kind, side: side, seconds: seconds, streams: 30, confidence: 0.9)
        finding.people = people
        finding.addresses = addresses
        finding.hops = hops
        finding.agents = agents
        return finding
    }

    private func names(_ finding: Finding) -> [String] { Hop.candidates(for: finding).map(\.name) }

    @Test("are those of idle-timeouts.tsv, row by row")
    func table() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Sources/Diagnosis/Hops/idle-timeouts.tsv")
        let rows = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").dropFirst().map {
            $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        }
        #expect(rows.count == 79 && Hop.table.count == 79)
        for (row, hop) in zip(rows, Hop.table) {
            #expect(row == [hop.name, hop.limit.rawValue, Words.decimal(hop.seconds).filter { $0 != "," }, hop.resetBy, hop.source])
        }
    }

    @Test("that nobody has verified are told apart")
    func hearsay() {
        for hop in Hop.table where hop.source.contains("not verified") { #expect(!hop.isVerified, "\(hop.name)") }
        #expect(Hop.table.first { $0.name == "Fly.io" }?.isVerified == false)
        #expect(Hop.table[0].isVerified)
    }

    @Test("each have a setting, or the word that there is none; and each can be somewhere")
    func settings() {
        let used = Set(Hop.table.map(\.family))
        for family in HopFamily.allCases {
            #expect(used.contains(family), "\(family) has no row")
            #expect(family.setting != "its limit cannot be changed from here", "\(family)")
        }
        for hop in Hop.table { #expect(!hop.places.isEmpty && (hop.limit == .none) == (hop.seconds == 0)) }
    }

    @Test("every row with a limit is a candidate for what it does, wherever it can stand")
    func everyRow() {
        for hop in Hop.table where hop.limit != .none && !hop.marks.contains(.firstByteOnly) {
            for side in [Finding.Side.client, .upstream] where !hop.places.isDisjoint(with: Hop.Places.on(side)) {
                var finding = finding(hop.limit == .idle ? .idleTimeout : .absoluteTimeout, side, hop.seconds + 0.02)
                finding.isSilentDrop = hop.marks.contains(.forgets)
                #expect(names(finding).contains(hop.name), "\(hop.name) on side \(side)")
            }
        }
    }

    @Test("are candidates within one second, and services whose timers are late within two")
    func distance() {
        #expect(names(finding(.idleTimeout, .client, 60.9)).contains("nginx proxy_read_timeout"))
        #expect(!names(finding(.idleTimeout, .client, 61.1)).contains("nginx proxy_read_timeout"))
        #expect(names(finding(.absoluteTimeout, .client, 301.9)).contains("Google Cloud Run"))
        #expect(!names(finding(.absoluteTimeout, .client, 302.1)).contains("Google Cloud Run"))
        #expect(names(finding(.idleTimeout, .client, 37)).isEmpty)
    }

    @Test("of one kind are no candidates for the other")
    func kinds() {
        #expect(!names(finding(.absoluteTimeout, .upstream, 60)).contains("nginx proxy_read_timeout"))
        #expect(names(finding(.absoluteTimeout, .upstream, 60)) == ["Cowboy idle_timeout"])
        #expect(Hop.candidates(for: Finding(kind: .serverRestart, side: .upstream, streams: 9, confidence: 1)).isEmpty)
    }

    @Test("stand where they can: a client's library never behind the proxy, a server never before it")
    func sides() {
        #expect(names(finding(.idleTimeout, .client, 300)).contains("undici and Node's fetch, bodyTimeout"))
        #expect(!names(finding(.idleTimeout, .upstream, 300)).contains("undici and Node's fetch, bodyTimeout"))
        #expect(!names(finding(.absoluteTimeout, .client, 30)).contains("gunicorn sync worker timeout"))
    }

    @Test("are proxies when few addresses stand for many clients, and clients' programs when each has its own")
    func addresses() {
        let proxied = names(finding(.idleTimeout, .client, 300, people: 40, addresses: 2))
        #expect(proxied.contains("Envoy stream_idle_timeout") && !proxied.contains("undici and Node's fetch, bodyTimeout"))
        let direct = names(finding(.idleTimeout, .client, 300, people: 40, addresses: 39))
        #expect(direct.first == "undici and Node's fetch, bodyTimeout")
    }

    @Test("keep the client's address or name themselves, where each client has its own; and both possibilities are said")
    func keptAddresses() {
        let direct = names(finding(.idleTimeout, .client, 60, people: 40, addresses: 39))
        #expect(direct.contains("AWS Classic Load Balancer") && direct.contains("nginx proxy_read_timeout"))
        #expect(!direct.contains("AWS Application Load Balancer") && !direct.contains("Kong read_timeout"))
        #expect(names(finding(.idleTimeout, .client, 50, people: 40, addresses: 40)) == ["HAProxy as Debian packages it, timeout server"])
        let named = names(finding(.idleTimeout, .client, 60, people: 40, addresses: 39, hops: ["aws_load_balancer", "kong"]))
        #expect(Set(named.prefix(2)) == ["Kong read_timeout", "AWS Application Load Balancer"])
        for (people, addresses, both) in [(40, 39, true), (40, 2, false), (3, 3, true), (40, 15, true)] {
            for kind in [Finding.Kind.idleTimeout, .absoluteTimeout] {
                let said = Explanation(finding(kind, .client, 60, people: people, addresses: addresses)).headline
                #expect(
                    said.contains("a hop between the browser and this proxy") && said.contains("or the client itself") == both, "\(said)")
            }
        }
        #expect(!Explanation(finding(.idleTimeout, .upstream, 60)).headline.contains("client itself"))
    }

    @Test("are clients' libraries only where at least half of the clients can be that library")
    func agents() {
        func libraries(_ seconds: Double, _ agents: [String: Int]) -> [String] {
            Hop.candidates(for: finding(.idleTimeout, .client, seconds, people: 40, addresses: 40, agents: agents))
                .filter { $0.places == .client }.map(\.name)
        }
        let okhttp = Hop.table.first { $0.family == .okhttp && $0.limit == .idle }!
        #expect(libraries(okhttp.seconds, ["okhttp": 30]).contains(okhttp.name))
        #expect(libraries(okhttp.seconds, [:]).contains(okhttp.name) && libraries(okhttp.seconds, ["": 30]).contains(okhttp.name))
        #expect(libraries(okhttp.seconds, ["other": 20, "chrome": 10]).contains(okhttp.name))
        #expect(!libraries(okhttp.seconds, ["chrome": 20, "firefox": 10]).contains(okhttp.name))
        #expect(libraries(45, ["chrome": 20, "firefox": 10]).contains { $0.contains("Yaffle") })
        #expect(libraries(300, ["node": 30]) == ["undici and Node's fetch, bodyTimeout"] && libraries(300, ["safari": 30]).isEmpty)
        for hop in Hop.table { #expect((hop.places == .client) == !hop.family.agents.isEmpty, "\(hop.name)") }
    }

    @Test("that the requests name come first, and services that always name themselves go when they are not named")
    func namedHops() {
        let named = names(finding(.idleTimeout, .client, 60, people: 40, addresses: 2, hops: ["aws_load_balancer", "kong"]))
        #expect(Set(named.prefix(2)) == ["Kong read_timeout", "AWS Application Load Balancer"])
        #expect(named.contains("nginx proxy_read_timeout") && !named.contains("Azure Front Door") && !named.contains("Fly.io"))
    }

    @Test("that the requests name are candidates with another limit than their usual one too, if people set it")
    func changedHops() {
        let changed = finding(.idleTimeout, .client, 4, people: 40, addresses: 1, hops: ["nginx"])
        #expect(names(changed).first == "nginx proxy_read_timeout")
        #expect(Hop.candidates(for: changed).first?.isChanged(for: changed) == true)
        #expect(!names(finding(.idleTimeout, .client, 4, people: 40, addresses: 1, hops: ["cloudflare"])).contains("Cloudflare proxy read"))
        #expect(!names(finding(.absoluteTimeout, .client, 4, people: 40, addresses: 1, hops: ["nginx"])).contains { $0.hasPrefix("nginx") })
    }

    @Test("are named by the words of the log, and by no others")
    func words() {
        let words = Set(HopSign.all.map { "\($0.word)" })
        for family in HopFamily.allCases {
            #expect(family.words.allSatisfy(words.contains), "\(family): \(family.words)")
            #expect(!family.alwaysNamesItself || !family.words.isEmpty)
        }
        // A second Heartwire has no limit of its own that would end a stream.
        #expect(words.subtracting(HopFamily.allCases.flatMap(\.words)) == ["heartwire"])
    }

    @Test("that forget connections are candidates only where one was forgotten")
    func forgetting() {
        var finding = finding(.idleTimeout, .client, 350)
        #expect(names(finding).isEmpty)
        finding.isSilentDrop = true
        #expect(names(finding) == ["AWS Network Load Balancer", "AWS NAT gateway"])
        finding.between = 200...260
        #expect(names(finding) == ["Azure Load Balancer", "Azure NAT gateway"])
    }
}
