// The exit codes that only a GHCB carries, and the names of all codes.

extension ExitCode {
    /// Read from a device's memory.
    @inlinable public static var mmioRead: Self { Self(0x8000_0001) }
    /// Write to a device's memory.
    @inlinable public static var mmioWrite: Self { Self(0x8000_0002) }
    /// The guest's NMI handler has ended.
    @inlinable public static var nmiComplete: Self { Self(0x8000_0003) }
    /// Wait for INIT and SIPI.
    @inlinable public static var apResetHold: Self { Self(0x8000_0004) }
    /// Set or get the address of the AP jump table.
    @inlinable public static var apJumpTable: Self { Self(0x8000_0005) }
    /// SNP Page State Change.
    @inlinable public static var pageStateChange: Self { Self(0x8000_0010) }
    /// SNP Guest Request.
    @inlinable public static var guestRequest: Self { Self(0x8000_0011) }
    /// SNP Extended Guest Request.
    @inlinable public static var extendedGuestRequest: Self { Self(0x8000_0012) }
    /// SNP AP Creation.
    @inlinable public static var apCreation: Self { Self(0x8000_0013) }
    /// #HV doorbell page.
    @inlinable public static var doorbellPage: Self { Self(0x8000_0014) }
    /// #HV IPI.
    @inlinable public static var doorbellIPI: Self { Self(0x8000_0015) }
    /// #HV timer.
    @inlinable public static var doorbellTimer: Self { Self(0x8000_0016) }
    /// APIC ID list.
    @inlinable public static var apicIDList: Self { Self(0x8000_0017) }
    /// SNP Run VMPL.
    @inlinable public static var runVMPL: Self { Self(0x8000_0018) }
    /// Secure AVIC.
    @inlinable public static var secureAVIC: Self { Self(0x8000_001a) }
    /// Configure interrupt injection.
    @inlinable public static var configureInterruptInjection: Self { Self(0x8000_001b) }
    /// Disable alternate injection.
    @inlinable public static var disableAlternateInjection: Self { Self(0x8000_001c) }
    /// Specific end of interrupt.
    @inlinable public static var specificEOI: Self { Self(0x8000_001d) }
    /// SEV-TIO guest request.
    @inlinable public static var tioGuestRequest: Self { Self(0x8000_0020) }
    /// SEV-TIO operation.
    @inlinable public static var tioOperation: Self { Self(0x8000_0021) }
    /// Hypervisor features.
    @inlinable public static var hypervisorFeatures: Self { Self(0x8000_fffd) }
    /// Terminate.
    @inlinable public static var terminate: Self { Self(0x8000_fffe) }
    /// A #VC whose error code the guest does not know.
    @inlinable public static var unsupportedEvent: Self { Self(0x8000_ffff) }

    /// Every code that has a name here, with the name.
    public static let named: [(code: ExitCode, name: String)] = [
        (.readDR7, "DR7_READ"), (.writeDR7, "DR7_WRITE"), (.debugException, "EXCP1"), (.alignmentException, "EXCP17"),
        (.machineCheck, "EXCP18"), (.interrupt, "INTR"), (.nmi, "NMI"), (.smi, "SMI"), (.initSignal, "INIT"),
        (.virtualInterrupt, "VINTR"), (.rdtsc, "RDTSC"), (.rdpmc, "RDPMC"), (.cpuid, "CPUID"), (.invd, "INVD"),
        (.pause, "PAUSE"), (.halt, "HLT"), (.ioio, "IOIO"), (.msr, "MSR"), (.shutdown, "SHUTDOWN"), (.vmrun, "VMRUN"),
        (.vmmcall, "VMMCALL"), (.rdtscp, "RDTSCP"), (.wbinvd, "WBINVD"), (.monitor, "MONITOR"), (.mwait, "MWAIT"),
        (.eferWriteTrap, "EFER_WRITE_TRAP"), (.controlRegisterWriteTrap(0), "CR0_WRITE_TRAP"),
        (.controlRegisterWriteTrap(3), "CR3_WRITE_TRAP"), (.controlRegisterWriteTrap(4), "CR4_WRITE_TRAP"),
        (.controlRegisterWriteTrap(8), "CR8_WRITE_TRAP"), (.busLock, "BUSLOCK"), (.idleHalt, "IDLE_HLT"),
        (.nestedPageFault, "NPF"), (.avicIncompleteIPI, "AVIC_INCOMPLETE_IPI"), (.avicUnaccelerated, "AVIC_NOACCEL"),
        (.vmgexit, "VMGEXIT"), (.pageNotValidated, "PAGE_NOT_VALIDATED"), (.invalid, "INVALID"), (.busy, "BUSY"),
        (.idleRequired, "IDLE_REQUIRED"), (.invalidPMC, "INVALID_PMC"),
        (.mmioRead, "MMIO_READ"), (.mmioWrite, "MMIO_WRITE"), (.nmiComplete, "NMI_COMPLETE"),
        (.apResetHold, "AP_RESET_HOLD"), (.apJumpTable, "AP_JUMP_TABLE"), (.pageStateChange, "SNP_PSC"),
        (.guestRequest, "SNP_GUEST_REQUEST"), (.extendedGuestRequest, "SNP_EXTENDED_GUEST_REQUEST"),
        (.apCreation, "SNP_AP_CREATION"), (.doorbellPage, "HV_DOORBELL"), (.doorbellIPI, "HV_IPI"),
        (.doorbellTimer, "HV_TIMER"), (.apicIDList, "APIC_ID_LIST"), (.runVMPL, "SNP_RUN_VMPL"),
        (.secureAVIC, "SECURE_AVIC"), (.configureInterruptInjection, "CONFIGURE_INTERRUPT_INJECTION"),
        (.disableAlternateInjection, "DISABLE_ALTERNATE_INJECTION"), (.specificEOI, "SPECIFIC_EOI"),
        (.tioGuestRequest, "TIO_GUEST_REQUEST"), (.tioOperation, "TIO_OPERATION"),
        (.hypervisorFeatures, "HV_FEATURES"), (.terminate, "TERMINATE"), (.unsupportedEvent, "UNSUPPORTED_EVENT"),
    ]
}
