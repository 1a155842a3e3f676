// The model-specific registers that SEV-SNP initialisation looks at, on each core, and the caches' write-back.

public import SNPArchitecture
internal import Scheduling
internal import Synchronization

/// The registers of one core that matter to SNP initialisation.
///
/// - Spec: PPR; APM2 15.36.2; FWABI 56860 SNP_INIT
public struct CoreRegisters: Hashable, Sendable {
    /// SYSCFG, C001_0010.
    public var syscfg: UInt64 = 0
    /// HWCR, C001_0015.
    public var hwcr: UInt64 = HWCR.smmLock
    /// VM_HSAVE_PA, C001_0117.
    public var hostSaveArea: UInt64 = 0
    /// RMP_BASE, C001_0132.
    public var rmpBase: UInt64 = 0
    /// RMP_END, C001_0133.
    public var rmpEnd: UInt64 = 0
    /// RMP_CFG, C001_0136. A processor without segmented RMPs does not have it: zero.
    public var rmpConfiguration = RMPConfiguration(rawValue: 0)
    /// WBINVD has run since firmware last asked for it.
    public var writtenBack: Bool = false
    /// The core executes code. One that does not has its registers all the same, and nobody writes them.
    public var isOnline: Bool = true

    /// Bits of SYSCFG.
    public enum SYSCFG {
        /// MtrrFixDramModEn, bit 19.
        public static let mfdm: UInt64 = 1 << 19
        /// MemEncryptionModEn, bit 23.
        public static let memoryEncryption: UInt64 = 1 << 23
        /// SecureNestedPagingEn, bit 24.
        public static let snpEnable: UInt64 = 1 << 24
        /// VMPLEn, bit 25.
        public static let vmplEnable: UInt64 = 1 << 25
    }
    /// Bits of HWCR.
    public enum HWCR {
        /// SmmLock, bit 0.
        public static let smmLock: UInt64 = 1
    }
}

/// The machine's cores.
public final class Cores: Sendable {
    private let registers: Mutex<[CoreRegisters]>

    /// Makes cores as firmware (BIOS) leaves them: memory encryption on, SNP off.
    init(count: Int, _ layout: RMPLayout) {
        var core = CoreRegisters()
        core.syscfg = CoreRegisters.SYSCFG.memoryEncryption
        core.rmpBase = layout.base.rawValue
        core.rmpEnd = layout.end.rawValue
        core.rmpConfiguration = layout.configuration
        registers = Mutex(Array(repeating: core, count: max(count, 1)))
    }

    func checkpoint() -> Checkpoint {
        let saved = all
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in registers.withLock { $0 = saved } }
        return checkpoint
    }

    /// The registers of each core.
    public var all: [CoreRegisters] { registers.withLock { $0 } }

    /// Changes the registers of each core that is online, as code that runs on all of them does.
    public func updateOnline(_ change: (inout CoreRegisters) -> Void) {
        registers.withLock { for index in $0.indices where $0[index].isOnline { change(&$0[index]) } }
    }

    /// Changes the registers of each core, as BIOS and firmware can.
    public func updateAll(_ change: (inout CoreRegisters) -> Void) {
        registers.withLock { for index in $0.indices { change(&$0[index]) } }
    }

    /// Changes the registers of one core.
    public func update(_ index: Int, _ change: (inout CoreRegisters) -> Void) {
        registers.withLock { change(&$0[index]) }
    }

    /// WBINVD on every core that is online.
    public func writeBackAndInvalidate() { updateOnline { $0.writtenBack = true } }

    /// Whether RMP checks are on: SYSCFG.SNP_EN on every core.
    public var snpEnabled: Bool {
        registers.withLock { $0.allSatisfy { $0.syscfg & CoreRegisters.SYSCFG.snpEnable != 0 } }
    }
}
