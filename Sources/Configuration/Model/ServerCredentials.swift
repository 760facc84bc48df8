// What the servers of a route get in place of what the client brought.
//
// Invariant: every value can stand in a field. Values are secrets and are never shown.

/// The proxy's own credentials towards the servers of a route.
package struct ServerCredentials: Sendable, Equatable {
    /// What becomes of the client's Authorization.
    package var authorization = Authorization.pass
    /// Fields that every request to the servers has, in the order of the file.
    package var fields: [Field] = []

    /// A field and its value.
    package struct Field: Sendable, Equatable {
        /// The name. No client can send a field of this name, on any route.
        package var name: String
        /// The value.
        package var value: [UInt8]

        /// A field.
        package init(name: String, value: [UInt8]) {
            self.name = name
            self.value = value
        }
    }

    /// What the servers get as Authorization.
    package enum Authorization: Sendable, Equatable {
        /// What the client sent, or its token from elsewhere.
        case pass
        /// Nothing.
        case remove
        /// This value.
        case value([UInt8])
        /// The token of this name, which the proxy fetches.
        case token(String)
        /// Nothing; the client's token stands alone in the field of this name.
        case field(String)
    }

    /// Credentials that change nothing.
    package init() {}

    /// The fields that no client may send.
    package var guardedFields: [String] {
        if case .field(let name) = authorization { return fields.map(\.name) + [name] }
        return fields.map(\.name)
    }
}
