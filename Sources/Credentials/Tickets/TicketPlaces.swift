// Where browsers put the tickets of one block. A request to any route may bring them, because browsers send cookies by themselves.

/// The places of one block's tickets.
package struct TicketPlaces: Sendable, Equatable {
    /// What the configuration calls the block.
    package var name: String
    /// The whole name of the cookie, `__Host-` included; nil where no cookie is set.
    package var cookie: String?
    /// The name of the query parameter; nil where URLs hold none.
    package var query: String?

    /// The places of one block.
    package init(name: String, cookie: String?, query: String?) {
        self.name = name
        self.cookie = cookie
        self.query = query
    }
}
