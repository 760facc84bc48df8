// A list that mostly has one element, and then owns no memory: the servers of a kept stream, and its readers.

/// Objects in their order.
struct Few<Element: AnyObject>: RandomAccessCollection, RangeReplaceableCollection {
    private enum Storage {
        case none
        case one(Element)
        /// At least two.
        case many([Element])
    }

    private var storage = Storage.none

    init() {}

    var startIndex: Int { 0 }

    var endIndex: Int {
        switch storage {
        case .none: 0
        case .one: 1
        case .many(let elements): elements.count
        }
    }

    subscript(place: Int) -> Element {
        switch storage {
        case .one(let element) where place == 0: return element
        case .many(let elements): return elements[place]
        case .none, .one: preconditionFailure("a place behind the last one")
        }
    }

    /// Goes over the elements as they are at the beginning, with one reference for all of them.
    struct Iterator: IteratorProtocol {
        fileprivate var first: Element?
        fileprivate var rest: IndexingIterator<[Element]>?

        mutating func next() -> Element? {
            if let first {
                self.first = nil
                return first
            }
            return rest?.next()
        }
    }

    func makeIterator() -> Iterator {
        switch storage {
        case .none: Iterator()
        case .one(let element): Iterator(first: element)
        case .many(let elements): Iterator(rest: elements.makeIterator())
        }
    }

    mutating func append(_ element: Element) {
        switch storage {
        case .none: storage = .one(element)
        case .one(let first): storage = .many([first, element])
        case .many(var elements):
            // Only one of both may own the elements.
            storage = .none
            elements.append(element)
            storage = .many(elements)
        }
    }

    mutating func replaceSubrange(_ places: Range<Int>, with new: some Collection<Element>) {
        var elements = Array(self)
        elements.replaceSubrange(places, with: new)
        switch elements.count {
        case 0: storage = .none
        case 1: storage = .one(elements[0])
        default: storage = .many(elements)
        }
    }
}
