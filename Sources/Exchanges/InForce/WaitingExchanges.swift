// The exchanges of one worker that wait for one thing. When it has come, all of them decide again.
// Invariant: an exchange is here exactly while its decision has a place, so that one that ends meanwhile is forgotten at once.

/// Exchanges that wait for the same thing.
final class WaitingExchanges {
    private var exchanges: [Int: Exchange] = [:]
    private var lastNumber = 0

    /// Notes an exchange. It waits until `callAll`, or until its place is released.
    func place(for exchange: Exchange) -> WaitingPlace {
        lastNumber += 1
        exchanges[lastNumber] = exchange
        return WaitingPlace(lastNumber, among: self)
    }

    /// Lets all exchanges that wait now decide again.
    func callAll() {
        let called = exchanges.sorted { $0.key < $1.key }
        exchanges = [:]
        for (_, exchange) in called { exchange.decideAgain() }
    }

    fileprivate func leave(_ number: Int) {
        // Released after the change, because an exchange that ends could release another place.
        let exchange = exchanges.removeValue(forKey: number)
        withExtendedLifetime(exchange) {}
    }
}

/// An exchange's place among those that wait.
final class WaitingPlace {
    private let number: Int
    private let others: WaitingExchanges

    fileprivate init(_ number: Int, among others: WaitingExchanges) {
        self.number = number
        self.others = others
    }

    deinit { others.leave(number) }
}
