// A whole host in one object: machine, firmware and hypervisor, with SNP on.

public import Hypervisor
public import Machine
public import SecureProcessor

/// An emulated SEV-SNP host, ready to run guests.
public final class EmulatedHost: Sendable {
    /// The silicon.
    public let machine: Machine
    /// The firmware of the AMD Secure Processor.
    public let secureProcessor: SecureProcessor
    /// The host kernel.
    public let host: Host

    /// Builds the machine, connects the firmware, boots the host and turns SNP on, unless the parameters say no.
    ///
    /// - Throws: what is wrong with the configuration, or what firmware refused
    public init(
        _ configuration: MachineConfiguration = MachineConfiguration(),
        firmware: FirmwareConfiguration = FirmwareConfiguration(), parameters: HostParameters = HostParameters()
    ) throws(EmulatedHostError) {
        do throws(MachineError) { machine = try Machine(configuration) } catch { throw .machine(error) }
        secureProcessor = SecureProcessor(machine: machine, configuration: firmware)
        machine.mailbox.connect(secureProcessor)
        do throws(Errno) { host = try Host(machine: machine, parameters: parameters) } catch { throw .host(error) }
        guard parameters.sevSNP else { return }
        do throws(SNPInitializationError) { try host.initializeSNP() } catch { throw .initialization(error) }
    }

    /// Builds a host with room for guests of `guestByteCount` bytes of private memory in all.
    ///
    /// - Throws: as the other initialiser
    public convenience init(
        forGuestsOf guestByteCount: UInt64, product: Product = .genoa, seed: UInt64 = 0,
        rmpSegmentation: RMPSegmentation? = nil
    ) throws(EmulatedHostError) {
        guard guestByteCount <= 1 << 45 else { throw .machine(.reservationRefused(guestByteCount)) }
        var configuration = MachineConfiguration(
            product: product, dramByteCount: Self.dram(forGuestsOf: guestByteCount), seed: seed)
        configuration.rmpSegmentation = rmpSegmentation
        try self.init(configuration)
    }

    /// DRAM for so much guest memory: tables for it at 4 KiB, shared pages, the RMP, and alignment of 1 GiB folios.
    static func dram(forGuestsOf guestByteCount: UInt64) -> UInt64 {
        let tables = guestByteCount >> 7
        let slack: UInt64 = guestByteCount >= 1 << 30 ? 2 << 30 : 64 << 20
        // Past 1 TiB less 12 GiB, 4 GiB of addresses are the processors' own, and folios of 1 GiB do not reach across.
        let hole: UInt64 = guestByteCount > 0xf0_0000_0000 ? 6 << 30 : 0
        let usable = guestByteCount + tables + slack + hole
        let rmp = (usable >> 8) + (64 << 20)
        return (usable + rmp + 0x1f_ffff) & ~0x1f_ffff
    }
}

/// Why a host cannot be built.
public enum EmulatedHostError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The machine.
    case machine(MachineError)
    /// The kernel.
    case host(Errno)
    /// SNP initialisation.
    case initialization(SNPInitializationError)
    /// A command after that.
    case firmware(FirmwareError)

    /// What is wrong.
    public var description: String {
        switch self {
        case .machine(let error): error.description
        case .host(let error): "the host kernel cannot boot: \(error)"
        case .firmware(let error): "firmware refuses a command: \(error)"
        case .initialization(let error): "SNP stays off: \(error)"
        }
    }
}
