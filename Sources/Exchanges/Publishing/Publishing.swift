// The endpoint of a listener for those who publish events: POST /publish puts an event into the streams of a route. Invariants: nothing is
// looked at before a key is proved, and nothing else is served on such a listener.

import Configuration
import Downstreams
import HTTP
import Reactor
import Telemetry

extension Exchange {
    /// Begins to answer a request on a listener with these keys.
    func publish(_ head: RequestHead, under keys: [[UInt8]]) {
        guard let sink else { preconditionFailure("a request begins once") }
        let call = PublishCall(head)
        enter(.publishing(call))
        if let limit = sink.exceededLimit { return refuse(proxy.refusal(of: .tooMany(limit))) }
        do throws(PublishRefusal) { try call.check(under: keys) } catch { return refuse(error) }
        if sink.isRequestComplete { return publish(call) }
        if head.expectsContinue { sink.sendInterim(OutgoingResponse(status: 100)) }
    }

    /// A piece of the body of a request to publish. Returns whether more can be taken.
    func received(body payload: UnsafeMutableRawBufferPointer, isLast: Bool, of call: PublishCall) -> Bool {
        account.requestBytes += UInt64(payload.count)
        guard call.body.count + payload.count <= PublishCall.mostBodyBytes else {
            refuse(.tooLarge)
            return false
        }
        call.body += payload
        if isLast { publish(call) }
        return !isLast
    }

    /// Publishes the event of a request whose body is here, or answers what it was answered before.
    private func publish(_ call: PublishCall) {
        do throws(PublishRefusal) {
            let publication = try call.publication()
            let key = try call.idempotencyKey()
            guard let route = settings.routes.first(where: { $0.route.name == publication.route }) else { throw .noRoute }
            guard route.continuity != nil else { throw .noHistory }
            switch key.map({ proxy.shared.publishedRequests.begin($0, now: now) }) ?? .new {
            case .new: proxy.keptStreams.publish(publication, PendingPublication(of: self, key: key))
            case .begun: throw .begun
            case .answered(let count):
                proxy.counters.add(.published, PublishOutcome.repeated)
                answer(count)
            }
        } catch { refuse(error) }
    }

    /// All workers have appended the event.
    func published(_ count: PublicationCount, _ key: [UInt8]?) {
        if let key { proxy.shared.publishedRequests.answered(key, count) }
        proxy.counters.add(.published, PublishOutcome.published)
        // The client may have left meanwhile.
        if case .publishing = phase { answer(count) }
    }

    private func answer(_ count: PublicationCount) {
        let json = count.json
        account.status = 200
        account.bytesToClient += UInt64(json.count)
        var response = OutgoingResponse(status: 200, capacityBytes: 256 + json.count)
        response.body = .whole(json)
        response.fields.field("Content-Type", "application/json")
        response.fields.field("Cache-Control", "no-store")
        response.fields.date(date)
        finish(nil, .complete, answer: response)
    }

    private func refuse(_ reason: PublishRefusal) {
        proxy.counters.add(.published, PublishOutcome.refused)
        refuse(reason.refusal)
    }
}
