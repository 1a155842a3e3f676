// Cores that come and go while SNP is on: they may not, since a core without SYSCFG.SNP_EN would not check the RMP.

internal import Machine
internal import Scheduling

extension Host {
    /// Brings a core up, or takes one down.
    ///
    /// - Spec: Linux: hot-plug is disabled from `snp_prepare()` until firmware has cleared SNP_EN
    /// - Throws: in check order: EINVAL (no such core, or the boot core), EBUSY (some core has SNP on)
    public func setCore(_ index: Int, online: Bool) throws(Errno) {
        let cores = machine.cores.all
        guard index > 0, index < cores.count else { throw .invalidArgument }
        try snp.lock.withLock { () throws(Errno) in
            let hasSNP = machine.cores.all.contains { $0.syscfg & CoreRegisters.SYSCFG.snpEnable != 0 }
            guard !hasSNP else { throw .busy }
            machine.cores.update(index) { $0.isOnline = online }
        }
    }
}
