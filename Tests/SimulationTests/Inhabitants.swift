// The actors of a simulated world: servers, clients, EventSources, a crowd and strangers, each with random habits.

import Configuration
import TestSupport

@testable import Reactor

extension Scenario {
    func addServers() {
        var habits = SimulatedServer.Habits(heartbeatMilliseconds: plan.heartbeatMilliseconds)
        if plan.troubles.oddities { habits.oddity = world.chance.number(50...500) }
        if plan.troubles.slowServers { habits.slowness = world.chance.number(50...500) }
        if plan.troubles.nonsense { habits.nonsense = world.chance.number(20...200) }
        if plan.troubles.insecurity { habits.insecurity = world.chance.number(50...300) }
        // If a read may find nothing although bytes are there, a client cannot rely on bytes being there.
        if plan.troubles.babble, plan.faults.spuriousEAGAIN == 0 { habits.babble = world.chance.number(50...300) }
        habits.partings = 60
        if plan.configuration.upstreams[0].tls?.isVerified == false { habits.impostors = world.chance.number(100...600) }
        for name in plan.serverNames {
            servers.append(
                SimulatedServer(
                    SocketAddress(literal: name, port: 80)!, world, kernel, habits: habits,
                    contexts: plan.isSecuredUpstream ? contexts : nil, behind: plan.hop.flatMap { $0.side == .upstream ? $0 : nil }
                ) { [unowned self] in truths[$0] })
        }
    }

    /// Whether several clients ask for the path, or one asks again and again.
    static func isShared(_ path: String) -> Bool {
        path.hasPrefix(Returner.path) || path.hasPrefix(Member.path) || path.hasPrefix(Guest.path)
            || path == TicketPlan.endpoint
    }

    /// Whether the path is of a route that wants credentials, which stands behind the usual one.
    static func isOfLaterRoute(_ path: String) -> Bool {
        [CredentialPlan.path, ForwardAuthPlan.path, TicketPlan.path, CrossOriginPlan.path].contains { path.hasPrefix($0) }
    }

    func register(_ truth: Truth) { truths[truth.path] = truth }

    func connection(from number: Int, speaking protocolName: String? = nil) -> Wire {
        let peer = SocketAddress(numeric: "192.0.2.\(1 + number % plan.addressCount)", port: UInt16(1000 + number))!
        return connection(
            from: peer, securedBy: plan.isSecuredDownstream ? contexts.map { SecureEngine($0, .client, speaking: protocolName) } : nil)
    }

    func connection(from peer: SocketAddress, securedBy engine: SecureEngine?) -> Wire {
        guard plan.takesProxyProtocol else {
            return Wire(kernel.connectToProxy(Scenario.listenAddress, from: peer), world, securedBy: engine)
        }
        let socket = kernel.connectToProxy(Scenario.listenAddress, from: Plan.proxyInFront)
        socket.client = peer
        return Wire(socket, world, securedBy: engine, behind: Text.proxyHeader(of: peer, &world.chance))
    }

    /// A stream of the connection that all of that address share where they speak HTTP/2, or a connection.
    func sharedConnection(_ number: Int) -> Wire {
        guard plan.speaksHTTP2 else { return connection(from: number) }
        return browserStream(number, place: number % plan.addressCount, plan.kindOfBrowser(number))
    }

    /// A stream of the connection of that place.
    private func browserStream(_ number: Int, place: Int, _ kind: BrowserManner.Kind) -> Wire {
        let usable = browsers[place].flatMap { $0.takesStreams ? $0 : nil }
        let browser = usable ?? makeBrowser(number, kind)
        browsers[place] = browser
        return BrowserStream(on: browser)
    }

    /// A connection, or a stream of one that a client has for itself where some speak HTTP/2.
    func ownConnection(_ number: Int, isHTTP2: Bool) -> Wire {
        isHTTP2 ? browserStream(number, place: 1_000 + number, .usual) : connection(from: number)
    }

    private func makeBrowser(_ number: Int, _ kind: BrowserManner.Kind) -> BrowserConnection {
        let wire = connection(from: number, speaking: "h2")
        return BrowserConnection(
            world, wire, manner: BrowserManner(&world.chance, kind), heartbeat: plan.heartbeatName,
            mostUploadWindow: plan.configuration.limits.streamsPerConnection * 65_535, isSecured: plan.isSecuredDownstream,
            isCalm: { [unowned self] in calmSince < .max })
    }

    func addClient(number: Int) {
        var requests: [[UInt8]] = []
        var mine: [Truth] = []
        let isHTTP10 = world.chance.permille(100)
        // Where a page that does not read keeps window from all others, one is enough.
        let isSlow = world.chance.permille(150) && plan.kindOfBrowser(number) != .small
        for index in 0..<(isHTTP10 ? 0 : world.chance.number(0...3)) {
            let (truth, bytes) = ordinaryRequest("\(number)/\(index)", isSlow: isSlow)
            mine.append(truth)
            requests.append(bytes)
        }
        if world.chance.permille(750) || mine.isEmpty {
            let path = "/stream/\(number)"
            requests.append(Array("GET \(path) HTTP/1.\(isHTTP10 ? 0 : 1)\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n".utf8))
            let truth = Truth(path: path, isStream: true, isSlow: isSlow)
            if isHTTP10 { truth.version = "1.0" }
            mine.append(truth)
        }
        for truth in mine { register(truth) }
        let sendsAllAtOnce = world.chance.permille(250)
        if plan.speaksHTTP2, !isHTTP10, world.chance.permille(750) {
            return addPage(number: number, Array(zip(mine, requests)), sendsAllAtOnce: sendsAllAtOnce)
        }
        world.after(Int64(world.chance.number(0...15_000))) { [self] in
            let client = SimulatedClient(
                world, connection(from: number), truths: mine, requests: requests, isSlow: isSlow, sendsAllAtOnce: sendsAllAtOnce)
            clients.append(client)
            guard world.chance.permille(500) else { return }
            let deed = world.chance.pick([Deed.left, .left, .reset, .vanished, .brokeTLS])
            world.after(Int64(world.chance.number(0...20_000))) { client.leave(deed == .brokeTLS && !client.isSecured ? .left : deed) }
        }
    }

    /// The same requests over HTTP/2, each on a stream of its own beside the EventSources of its address, and left by itself.
    private func addPage(number: Int, _ requests: [(truth: Truth, bytes: [UInt8])], sendsAllAtOnce: Bool) {
        var moment = Int64(world.chance.number(0...15_000))
        for (truth, bytes) in requests {
            let deed = world.chance.pick([Deed.left, .left, .left, .left, .reset, .reset, .reset, .vanished])
            // In the packet of the request, soon, and whenever it may be.
            let patience = world.chance.permille(400) ? nil : Int64(world.chance.number(0...world.chance.pick([0, 30, 300, 20_000])))
            world.after(moment) { [self] in
                let client = SimulatedClient(
                    world, sharedConnection(number), truths: [truth], requests: [bytes], isSlow: truth.isSlow, sendsAllAtOnce: false)
                clients.append(client)
                if let patience { patience == 0 ? client.leave(deed) : world.after(patience) { client.leave(deed) } }
            }
            if !sendsAllAtOnce { moment += Int64(world.chance.number(0...1_000)) }
        }
    }

    /// A page that sends small requests and uploads over HTTP/2.
    func addUploads(number: Int) {
        let requests = (0..<world.chance.number(1...5)).map { index in
            ordinaryRequest("page/\(number)/\(index)", isSlow: false, among: ["GET", "POST", "POST", "POST"])
        }
        for (truth, _) in requests { register(truth) }
        addPage(number: 700 + number, requests, sendsAllAtOnce: world.chance.permille(500))
    }

    /// A request for something that is no stream. `holder` has the credentials where some are wanted.
    func ordinaryRequest(
        _ name: String, isSlow: Bool, among methods: [String] = ["GET", "HEAD", "POST"], _ holder: (any CredentialHolder)? = nil
    ) -> (Truth, [UInt8]) {
        let method = world.chance.pick(methods)
        let path = "\(holder?.pathPrefix ?? "/")\(method.lowercased())/\(name)"
        let hasBody = method == "POST" && world.chance.permille(600)
        // More than the window of a stream of HTTP/2 is seldom, because it costs time.
        let mostBytes = plan.speaksHTTP2 && world.chance.permille(200) ? 150_000 : 20_000
        let body = hasBody ? (0..<world.chance.number(0...mostBytes)).map { UInt8(truncatingIfNeeded: $0 &* 11 &+ $0 >> 8) } : []
        let truth = Truth(path: path, isStream: false, isSlow: isSlow, requestBody: body)
        let isChunked = hasBody && world.chance.permille(300)
        let framing = isChunked ? "Transfer-Encoding: chunked\r\n" : hasBody ? "Content-Length: \(body.count)\r\n" : ""
        let framed = isChunked ? Text.chunks(body, &world.chance) + Array("0\r\n\r\n".utf8) : body
        // Some ask for a stream and get something else.
        let accept = world.chance.permille(300) ? "Accept: text/event-stream, */*\r\n" : ""
        let accepts = !accept.isEmpty && method == "GET"
        let brought = holder?.bring(for: truth, isEventSource: accepts, isHTTP2: false)
        let forged = brought?.lines ?? plan.forgedFields(&world.chance)
        return (
            truth, Array("\(method) \(path)\(brought?.query ?? "") HTTP/1.1\r\nHost: a\r\n\(accept)\(forged)\(framing)\r\n".utf8) + framed
        )
    }

    func addEventSource(number: Int, holder: (any CredentialHolder)? = nil) {
        var manner = SimulatedEventSource.Manner()
        manner.claimsAnotherClient = plan.trustsClients && holder == nil
        if holder != nil {
            manner.isSlow = world.chance.permille(100)
            manner.reusesConnections = world.chance.permille(300)
        } else if !plan.troubles.crowdedOutage {
            manner.isForeign = world.chance.permille(150)
            manner.hasCookie = world.chance.permille(150)
            manner.isSlow = world.chance.permille(100)
            manner.reusesConnections = world.chance.permille(300)
            manner.comesThroughHops = world.chance.permille(300)
        }
        switch plan.kindOfBrowser(100 + number) {
        // Narrow windows are given back slowly.
        case .narrow: manner.isSlow = true
        // One page that does not read must leave window to all others; two of them may use it up.
        case .small:
            manner.isSlow = number < plan.addressCount && world.chance.permille(700)
            manner.isBusy = manner.isSlow
        case .usual: manner.isBusy = plan.speaksHTTP2 && world.chance.permille(300)
        }
        let source = SimulatedEventSource(
            world, number: number, manner: manner, holder: holder, connect: { [unowned self] in sharedConnection(100 + number) },
            register: { [unowned self] in register($0) })
        eventSources.append(source)
        world.after(Int64(world.chance.number(0...(plan.troubles.crowdedOutage ? 300 : 15_000)))) { source.begin() }
        guard world.chance.permille(200) else { return }
        let deed = world.chance.pick([Deed.left, .reset, .vanished])
        world.after(Int64(world.chance.number(5_000...39_000))) { source.leave(deed) }
    }

    func addReturner(number: Int) {
        let path = "\(Returner.path)\(number / 2)"
        if truths[path] == nil { register(Truth(path: path, isStream: true)) }
        let isHTTP2 = plan.speaksHTTP2 && world.chance.permille(500)
        let returner = Returner(
            world, path: path, agent: "curl/\(number)",
            connect: { [unowned self] in ownConnection(400 + number, isHTTP2: isHTTP2) },
            asked: { [unowned self] in if truths[path]?.askedAt == nil { truths[path]?.askedAt = world.now } })
        returners.append(returner)
        world.after(Int64(world.chance.number(0...10_000))) { returner.begin() }
    }

    /// Enough clients for `diagnose` to find the hop by.
    func addWatchers(of hop: PlantedHop) {
        for number in 0..<world.chance.number(6...10) {
            let truth = Truth(path: "\(Watcher.path)\(number)", isStream: true)
            register(truth)
            let watcher = Watcher(world, truth, behind: hop.side == .client ? hop : nil) { [unowned self] in
                connection(from: 500 + number)
            }
            watchers.append(watcher)
            world.after(Int64(world.chance.number(0...10_000))) { watcher.begin() }
        }
    }

    func addHog(number: Int) {
        var asked = 0
        // One of the costly kind is enough.
        let isRekeying = number == 0 && plan.isSecuredDownstream
        let manner = isRekeying ? Hog.Manner.rekeying : world.chance.pick([.silent, .greedy, .ahead])
        // Some are pages that ask for much and read nothing, on a connection with others.
        let isPage = plan.speaksHTTP2 && manner == .greedy && plan.kindOfBrowser(200 + number) == .usual && world.chance.permille(500)
        let connect = { [unowned self] in isPage ? sharedConnection(200 + number) : connection(from: 200 + number) }
        let hog = Hog(world, manner: manner, connect: connect) { [unowned self] in
            asked += 1
            let truth = Truth(path: "/hog/\(number)/\(asked)", isStream: world.chance.permille(500), isSlow: true)
            register(truth)
            return truth
        }
        hogs.append(hog)
        world.after(Int64(world.chance.number(0...20_000))) { hog.begin() }
    }

    func addStranger(number: Int) {
        guard let contexts else { return }
        let manner = world.chance.pick(Stranger.Manner.allCases)
        world.after(Int64(world.chance.number(0...30_000))) { [self] in
            let engine = SecureEngine(contexts, .client)
            _ = engine.receive([])
            let peer = SocketAddress(numeric: "203.0.113.\(1 + number)", port: 1)!
            // A stranger sends no PROXY header where one is required: it connects directly, or the proxy in front sends an invalid
            // header.
            let isProxied = plan.takesProxyProtocol && world.chance.permille(500)
            let socket = kernel.connectToProxy(Scenario.listenAddress, from: isProxied ? Plan.proxyInFront : peer)
            strangers.append(Stranger(world, manner: manner, wire: Wire(socket, world), hello: engine.takeOutput()))
        }
    }
}
