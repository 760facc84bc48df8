// What a group of servers keeps: their addresses and their idle connections.

import Configuration
import Reactor
import TestSupport
import Testing

@testable import Upstreams

@Suite("The servers of an upstream")
struct ServerGroupTests {
    @Test("a look-up that finds nothing leaves the known addresses, one that finds others takes their place")
    func lookups() throws {
        let group = try group([2, 1])
        group.servers[0].preferredAddress = address(0, 1)
        group.update(addresses: [[], [address(1, 7)]])
        #expect(group.servers[0].addresses == [address(0, 0), address(0, 1)] && group.servers[0].preferredAddress == address(0, 1))
        #expect(group.servers[1].addresses == [address(1, 7)])
        group.update(addresses: [[address(0, 0), address(0, 1)], [address(1, 7)]])
        #expect(group.servers[0].preferredAddress == address(0, 1), "the same addresses change nothing")
        group.update(addresses: [[address(0, 9)], [address(1, 7)]])
        #expect(group.servers[0].addresses == [address(0, 9)] && group.servers[0].addressesBestFirst == [address(0, 9)])
    }

    @Test("keep idle connections up to the limit, and the one that was used last serves first")
    func idleConnections() throws {
        let world = try ScriptedServer { $0.idleConnections = 2 }
        let receivers = (0..<3).map { _ in ScriptedReceiver() }
        let connections = try receivers.map { try world.asked(for: $0) }
        for (connection, receiver) in zip(connections, receivers) {
            world.answer("HTTP/1.1 204 No Content\r\n\r\n", to: connection)
            #expect(receiver.calls.last == "body '' whole")
            connection.detach()
        }
        #expect(connections.map(\.isOpen) == [true, true, false] && world.server.idleCount == 2 && world.server.activeCount == 0)
        #expect(world.group.takeIdle(0) === connections[1] && world.group.takeIdle(0) === connections[0])
        #expect(world.group.takeIdle(0) == nil)
    }

    @Test("hand out no idle connection on which something came that nobody asked for, and close it")
    func unquiet() throws {
        let world = try ScriptedServer()
        let idle = try world.idle()
        let descriptor = idle.descriptor
        world.kernel.receive(descriptor, "x")
        #expect(world.group.takeIdle(0) == nil && world.kernel.closed.contains(descriptor))
    }

    @Test("close their idle connections and keep none any more once they are retired")
    func retire() throws {
        let world = try ScriptedServer()
        let idle = try world.idle()
        let receiver = ScriptedReceiver()
        let busy = try world.asked(for: receiver)
        world.group.retire()
        #expect(!idle.isOpen && busy.isOpen)
        world.answer("HTTP/1.1 204 No Content\r\n\r\n", to: busy)
        #expect(receiver.calls.last == "body '' whole")
        busy.detach()
        #expect(!busy.isOpen && world.server.idleCount == 0)
    }
}
