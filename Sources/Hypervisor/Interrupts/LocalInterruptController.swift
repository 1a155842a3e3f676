// The seam between a virtual CPU and what collects interrupts for it. Who attaches nothing pays nothing.

/// The interrupt controller of one virtual CPU, as `KVM_CREATE_IRQCHIP` would put it into the kernel.
///
/// The virtual CPU asks it while it runs, on its own thread, with its lock held: an answer must not wait for the virtual CPU.
/// What wakes a virtual CPU on another thread calls `VirtualCPU.notice`.
public protocol LocalInterruptController: AnyObject {
    /// An interrupt waits that the task's priority lets pass.
    var hasInterrupt: Bool { get }
    /// Takes the interrupt that waits into service and gives its vector; the spurious one if none waits any more.
    func takeInterrupt() -> UInt8
    /// CR8.
    var cr8: UInt8 { get set }
    /// RDMSR of 0x1b and 0x800 to 0x8ff. Nil for #GP.
    func readRegister(_ index: UInt32) -> UInt64?
    /// WRMSR of 0x1b and 0x800 to 0x8ff. False for #GP.
    func writeRegister(_ index: UInt32, _ value: UInt64) -> Bool
    /// What the time-stamp counter shows when the guest asks the host for it.
    var timeStamp: UInt64 { get }
}
