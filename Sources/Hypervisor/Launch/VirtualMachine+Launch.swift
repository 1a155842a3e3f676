// The launch calls before and after the pages: SEV_INIT2, KVM_CREATE_VCPU, LAUNCH_START, LAUNCH_FINISH, and the end.

public import Machine
public import SNPArchitecture
internal import Scheduling

extension VirtualMachine {
    /// KVM_SEV_INIT2: gives the machine an ASID and the pages of its guest requests.
    ///
    /// - Parameter vmsaFeatures: SEV_FEATURES without the SNP bit, which is added
    /// - Throws: in check order: EIO (dead), ENOTTY (not an SNP machine), EINVAL (virtual CPUs exist, flags, the SNP bit
    ///   passed, SEV_FEATURES that the host's parameters do not allow, GHCB version not 0 or 2, already done), EBUSY (no
    ///   ASID), ENOMEM (no page for requests), EIO (no page that firmware could be given for answers)
    public func sevInit2(vmsaFeatures: UInt64 = 0, ghcbVersion: UInt16 = 0, flags: UInt32 = 0) throws(SEVCommandError) {
        try checkAliveForSEV()
        guard kind == .snp else { throw SEVCommandError(.notSupportedCall) }
        try slotsLock.withLock { () throws(SEVCommandError) in
            guard virtualCPUs.isEmpty, flags == 0, vmsaFeatures & 1 == 0 else {
                throw SEVCommandError(.invalidArgument)
            }
            guard SEVFeatures(rawValue: vmsaFeatures).isSubset(of: host.parameters.vmsaFeatures) else {
                throw SEVCommandError(.invalidArgument)
            }
            guard ghcbVersion == 0 || ghcbVersion == 2 else { throw SEVCommandError(.invalidArgument) }
            guard launch.asid == nil else { throw SEVCommandError(.invalidArgument) }
            let asid: ASID
            do throws(Errno) {
                asid = try host.asids.allocate { (try? host.flushASIDs()) != nil }
            } catch { throw SEVCommandError(error) }
            do throws(SEVCommandError) { launch.requestPages = try makeRequestPages() } catch {
                host.asids.free(asid)
                throw error
            }
            launch.vmsaFeatures = vmsaFeatures | 1
            launch.asid = asid
        }
    }

    /// KVM_CREATE_VCPU with the register state that launch will encrypt.
    ///
    /// - Parameter processor: what executes its guest code; without one it can be launched and not be run
    /// - Throws: in check order: EIO (dead), EINVAL (launch is finished), EEXIST (the identifier)
    @discardableResult
    public func createVirtualCPU(
        id: UInt32, initialState: VMSA, processor: (any GuestProcessor)? = nil
    ) throws(Errno) -> VirtualCPU {
        try checkAlive()
        let wasOpen = host.has(.virtualCPUDuringFinish) && !isLaunched
        return try slotsLock.withLock { () throws(Errno) in
            guard !launch.isFinished || wasOpen else { throw .invalidArgument }
            guard !virtualCPUs.contains(where: { $0.id == id }) else { throw .exists }
            let cpu = VirtualCPU(id: id, initialState: initialState, of: self)
            // Nobody else knows the virtual CPU yet.
            cpu.thread = processor.map { HardwareThread($0, interrupt: cpu.interrupt) }
            nested.lock.withLock { virtualCPUs.append(cpu) }
            return cpu
        }
    }

    /// KVM_SEV_SNP_LAUNCH_START: makes the guest context and binds the ASID to it.
    ///
    /// - Throws: in check order: EIO (dead), ENOTTY (not an initialised SNP machine), EINVAL (context exists, flags,
    ///   reserved policy bits, bit 17 clear), ENOTTY (no context page), EIO with the firmware's status
    public func snpLaunchStart(policy: GuestPolicy, gosvw: [UInt8] = [], flags: UInt16 = 0) throws(SEVCommandError) {
        try checkAliveForSEV()
        try slotsLock.withLock { () throws(SEVCommandError) in
            guard let asid = launch.asid else { throw SEVCommandError(.notSupportedCall) }
            guard launch.context == nil, flags == 0 else { throw SEVCommandError(.invalidArgument) }
            guard policy.isDisjoint(with: .reserved), policy.contains(.mustBeOne) else {
                throw SEVCommandError(.invalidArgument)
            }
            guard let context = try? host.firmware.allocatePage() else { throw SEVCommandError(.notSupportedCall) }
            do throws(FirmwareError) {
                try host.firmware.send(GCTXCreateBuffer(context: context.address))
            } catch {
                try? host.firmware.freePage(context)
                throw SEVCommandError(error)
            }
            do throws(FirmwareError) {
                var start = LaunchStartBuffer(context: context.address, policy: policy)
                if !gosvw.isEmpty { start.gosvw = gosvw }
                if host.has(.launchStartTooShort) { start.dropDesiredTSC() }
                try host.firmware.send(start)
                try host.firmware.send(ActivateBuffer(context: context.address, asid: asid))
            } catch {
                decommission(context)
                throw SEVCommandError(error)
            }
            launch.context = context
            launch.policy = policy
        }
    }

    /// KVM_SEV_SNP_LAUNCH_FINISH: encrypts and measures each virtual CPU's state, then ends the launch.
    ///
    /// - Throws: in check order: EIO (dead), ENOTTY (not an initialised SNP machine), EINVAL (no context, flags, finished
    ///   already, block or authentication of the wrong size), ENOMEM, EIO with the firmware's status
    public func snpLaunchFinish(_ request: LaunchFinishRequest = LaunchFinishRequest()) throws(SEVCommandError) {
        try checkAliveForSEV()
        try slotsLock.withLock { () throws(SEVCommandError) in
            guard launch.asid != nil else { throw SEVCommandError(.notSupportedCall) }
            guard let context = launch.context, request.flags == 0, !launch.isFinished else {
                throw SEVCommandError(.invalidArgument)
            }
            guard request.hasValidSizes else { throw SEVCommandError(.invalidArgument) }
            for cpu in virtualCPUs where cpu.vmsaFrame == nil { try protectState(of: cpu, context) }
            var buffer = LaunchFinishBuffer(context: context.address, hostData: request.hostData)
            buffer.vcekIsDisabled = request.vcekIsDisabled
            var pages: [PFN] = []
            defer { for page in pages { host.allocator.free(page, order: 0) } }
            if let block = request.idBlock, let authentication = request.idAuthentication {
                pages.append(try hostPage(block))
                pages.append(try hostPage(authentication))
                buffer.idBlockIsEnabled = true
                buffer.authorKeyIsEnabled = request.authorKeyIsEnabled
                buffer.idBlock = pages[0].address
                buffer.idAuthentication = pages[1].address
            }
            do throws(FirmwareError) { try host.firmware.send(buffer) } catch {
                throw SEVCommandError(error)
            }
            launch.isFinished = true
        }
    }

    /// Where the firmware keeps the guest's context, from LAUNCH_START on.
    public var contextPage: PFN? { slotsLock.withLock { launch.context } }

    /// Whether LAUNCH_FINISH has succeeded.
    public var isLaunched: Bool { slotsLock.withLock { launch.isFinished } }

    /// Copies bytes to a fresh host page.
    private func hostPage(_ bytes: [UInt8]) throws(SEVCommandError) -> PFN {
        guard let block = host.allocator.allocate(order: 0) else { throw SEVCommandError(.noMemory) }
        host.clearFrame(block.pfn)
        do throws(Errno) { try host.write(bytes, at: block.pfn.address) } catch { throw SEVCommandError(error) }
        return block.pfn
    }

    /// Puts a virtual CPU's state into a page of its own, private at the guest address that all VMSAs share, and
    /// launches it.
    private func protectState(of cpu: VirtualCPU, _ context: PFN) throws(SEVCommandError) {
        guard let asid = launch.asid, let pfn = host.firmware.allocateUnalignedFrame() else {
            throw SEVCommandError(.noMemory)
        }
        defer { host.firmware.releaseClaim(pfn) }
        var state = cpu.initialState
        state.sevFeatures = SEVFeatures(rawValue: launch.vmsaFeatures)
        do throws(Errno) { try host.write(state.bytes, at: pfn.address) } catch {
            host.firmware.giveBack(pfn)
            throw SEVCommandError(error)
        }
        var counts = RMPCounts()
        defer { host.rmp.record(counts) }
        do throws(RMPStatus) {
            try host.rmp.makePrivate(pfn, .size4K, gfn: Self.vmsaGFN, asid: asid, immutable: true, counts: &counts)
        } catch {
            host.firmware.giveBack(pfn)
            throw SEVCommandError(.ioError)
        }
        do throws(FirmwareError) {
            try host.firmware.send(LaunchUpdateBuffer(context: context.address, page: pfn.address, type: .vmsa))
        } catch {
            releaseAssigned(pfn, reason: "a VMSA that firmware refused")
            throw SEVCommandError(error)
        }
        cpu.vmsaFrame = pfn
    }

    /// The guest frame of every VMSA that KVM makes: guest physical address 0xFFFFFFFFF000.
    public static var vmsaGFN: GFN { GFN(0xf_ffff_ffff) }

    /// Takes an assigned 4 KiB page back from the guest, through firmware if it is immutable, and frees it or leaks it.
    func releaseAssigned(_ pfn: PFN, reason: String) {
        var counts = RMPCounts()
        defer { host.rmp.record(counts) }
        let immutable = host.rmp.lookup(pfn)?.immutable == true
        do {
            if immutable {
                try host.firmware.reclaimPage(pfn)
            } else {
                try host.rmp.makeShared(pfn, .size4K, counts: &counts)
            }
            host.firmware.giveBack(pfn)
        } catch {
            host.leaked.leak(pfn..<(pfn + 1), reason: "\(reason): \(error)")
            kill("page \(pfn) could not be taken back: \(error)")
        }
    }

    /// Ends a guest context and frees its page, or leaks both the page and the ASID.
    private func decommission(_ context: PFN) {
        do throws(FirmwareError) {
            try host.firmware.send(DecommissionBuffer(context: context.address))
        } catch {
            host.leaked.leak(context..<(context + 1), reason: "DECOMMISSION of a guest context: \(error)")
            launch.asidIsLost = true
            return
        }
        // A page that does not come back is leaked there.
        try? host.firmware.freePage(context)
    }

    /// Ends the guest: VMSA pages, context, ASID.
    func tearDownLaunch() {
        slotsLock.withLock {
            for cpu in virtualCPUs {
                if let pfn = cpu.vmsaFrame { releaseAssigned(pfn, reason: "a VMSA of a destroyed machine") }
                cpu.vmsaFrame = nil
            }
            if let context = launch.context { decommission(context) }
            launch.context = nil
            if let pages = launch.requestPages { free(pages) }
            launch.requestPages = nil
            if let asid = launch.asid, !launch.asidIsLost { host.asids.free(asid) }
            launch.asid = nil
        }
    }

    func checkAliveForSEV() throws(SEVCommandError) {
        guard isAlive else { throw SEVCommandError(.ioError) }
    }
}

/// What KVM_SEV_SNP_LAUNCH_FINISH takes.
public struct LaunchFinishRequest: Sendable {
    /// The 96-byte ID block, if any.
    public var idBlock: [UInt8]?
    /// The 4096-byte ID authentication structure, given with the block.
    public var idAuthentication: [UInt8]?
    /// The block carries an author key.
    public var authorKeyIsEnabled = false
    /// The guest may not have reports signed by the VCEK.
    public var vcekIsDisabled = false
    /// 32 bytes for the report, or none.
    public var hostData: [UInt8] = []
    /// Must be 0.
    public var flags: UInt16 = 0

    /// Makes a request without an ID block.
    public init() {}

    var hasValidSizes: Bool {
        (idBlock == nil) == (idAuthentication == nil) && (idBlock?.count ?? 96) == 96
            && (idAuthentication?.count ?? 4096) == 4096 && (hostData.isEmpty || hostData.count == 32)
    }
}
