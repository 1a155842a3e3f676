// A guest that makes no progress: a nested page fault that comes again and again.

internal import Machine
internal import SNPArchitecture

/// The last nested page fault of a virtual CPU, and how often it has come in a row.
///
/// It is the same again if address and error code are, the virtual CPU has completed no instruction since, and no other
/// one has made the host or firmware change an RMP entry. A page is served after two or three; one that is not after
/// `limit` is taken to stay so.
///
/// - Deviates: `rampart run` ends a guest that is stuck so; under KVM it faults until the VMM is killed
struct RepeatedFault {
    /// So many in a row are a guest that is stuck. Each ends its virtual CPU's turn, so that the others have had as many
    /// turns to do something about it.
    static let limit = 1000
    /// So many in a row are served as any other: the page is made the guest's, mapped, its entry split.
    static let usual = 4

    private(set) var address = GPA(0)
    private(set) var error: UInt64 = 0
    /// How often it has come in a row.
    private(set) var count = 0
    private var instructions: UInt64 = 0
    private var changes: UInt64 = 0

    /// The fault is taken not to go away soon: others may need time to mend it.
    var isUnusual: Bool { count > Self.usual }

    /// Takes note of a nested page fault.
    ///
    /// - Parameters:
    ///   - instructions: how many the virtual CPU has completed
    ///   - changes: how many changes of the RMP others have caused
    mutating func note(_ exit: GuestExit, instructions: UInt64, changes: UInt64) {
        let isSame =
            address.rawValue == exit.info2 && error == exit.info1 && self.instructions == instructions
            && self.changes == changes
        count = isSame ? count + 1 : 1
        (address, error) = (GPA(exit.info2), exit.info1)
        (self.instructions, self.changes) = (instructions, changes)
    }
}
