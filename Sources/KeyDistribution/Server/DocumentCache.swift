// Documents that were made before. Certifying a key takes milliseconds, handing out a certificate microseconds.

internal import NIOCore
internal import Synchronization

/// A bounded memory of documents, the oldest of which goes first.
final class DocumentCache: Sendable {
    private struct Entry {
        var document: ByteBuffer
        var made: NIODeadline
    }
    private struct State {
        var entries: [KeyDistributionRequest: Entry] = [:]
        var order: [KeyDistributionRequest] = []
        var oldest = 0
    }
    private let state = Mutex(State())
    private let capacity: Int
    /// Revocation lists are made anew after this time.
    private static let listLifetime = TimeAmount.hours(1)

    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// The document, if it is known and still good.
    func document(for request: KeyDistributionRequest) -> ByteBuffer? {
        guard let entry = state.withLock({ $0.entries[request] }) else { return nil }
        if case .revocationList = request, NIODeadline.now() - entry.made > Self.listLifetime { return nil }
        return entry.document
    }

    /// Remembers a document.
    func remember(_ document: ByteBuffer, for request: KeyDistributionRequest) {
        state.withLock { state in
            let entry = Entry(document: document, made: .now())
            guard state.entries.updateValue(entry, forKey: request) == nil else { return }
            guard state.order.count == capacity else { return state.order.append(request) }
            state.entries[state.order[state.oldest]] = nil
            state.order[state.oldest] = request
            state.oldest = (state.oldest + 1) % capacity
        }
    }

    /// How many documents are kept.
    var count: Int { state.withLock { $0.entries.count } }
}
