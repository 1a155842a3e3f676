// How far each prime lies from the hash of its phrase, in steps of two. Scripts/find-prime-steps prints this table.

extension AuthorityKey {
    /// The steps by the key's name.
    static let steps: [String: (p: UInt64, q: UInt64)] = [
        "ARK-Milan": (p: 84, q: 342),
        "SEV-Milan": (p: 201, q: 1571),
        "SEV-VLEK-Milan": (p: 576, q: 970),
        "ARK-Genoa": (p: 669, q: 43),
        "SEV-Genoa": (p: 242, q: 1098),
        "SEV-VLEK-Genoa": (p: 46, q: 2),
        "ARK-Turin": (p: 480, q: 411),
        "SEV-Turin": (p: 132, q: 446),
        "SEV-VLEK-Turin": (p: 2946, q: 305),
    ]
}
