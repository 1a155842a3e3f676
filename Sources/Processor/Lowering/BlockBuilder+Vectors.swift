// Vector instructions as calls of kernels.

internal import ProcessorCore

extension BlockBuilder {
    /// Where an operand of a kernel is.
    private enum Place {
        /// An offset in the core.
        case core(Int)
        case memory
    }

    private func place(_ operand: Operand) -> Place? {
        switch operand {
        case .vector(let number): .core(CoreLayout.vectors + Int(number) * 32)
        case .register(let register): .core(Int(register.offset))
        case .memory: .memory
        default: nil
        }
    }

    /// Emits a vector instruction; false if it is none, or may not run here.
    mutating func vector(_ instruction: Instruction) -> Bool {
        guard let form = vectorForms[instruction.mnemonic], !mode.forbidsVectors else { return false }
        if mode.trapsFloats, instruction.mnemonic.usesMXCSR { return false }
        var immediate: Int64 = 0
        if case .immediate(let value)? = instruction.operands.last { immediate = value }
        let operands = instruction.operands
        switch instruction.mnemonic {
        // REX.W makes the lengths in RAX and RDX those of 64 bits.
        case .pcmpestri, .pcmpestrm: immediate = immediate & 0xff | (instruction.width == .quad ? 0x100 : 0)
        case .insertps where operands[1] == .memory: immediate &= 0x3f
        default: break
        }
        guard let first = operands.first.flatMap(place) else { return false }
        let second = operands.count > 1 ? place(operands[1]) : nil
        switch form {
        case .inPlace(let kernel):
            guard case .core = first else { return false }
            return unsafe emitKernel(kernel, instruction, first, first, 0, immediate, aligned: false)
        case .source(let kernel, let byteCount, let aligned), .move(let kernel, let byteCount, let aligned):
            guard let second else { return false }
            return unsafe emitKernel(kernel, instruction, first, second, byteCount, immediate, aligned: aligned)
        case .scalar(let kept, let cleared, let byteCount):
            guard let second else { return false }
            let kernel: Kernel
            switch (first, second) {
            case (.memory, _): unsafe kernel = byteCount == 4 ? ShuffleKernels.move4 : ShuffleKernels.move8
            case (_, .memory): unsafe kernel = cleared
            default: unsafe kernel = kept
            }
            return unsafe emitKernel(kernel, instruction, first, second, byteCount, 0, aligned: false)
        case .halves(let load, let store):
            guard let second else { return false }
            if case .memory = first {
                return unsafe emitKernel(store, instruction, first, second, 8, 0, aligned: false)
            }
            return unsafe emitKernel(load, instruction, first, second, 8, 0, aligned: false)
        case .general:
            guard let second else { return false }
            return general(instruction, first, second)
        case .fromGeneral(let narrow, let wide):
            guard let second else { return false }
            let isWide = width(of: operands[1], instruction) == .quad
            return unsafe emitKernel(
                isWide ? wide : narrow, instruction, first, second, isWide ? 8 : 4, 0, aligned: false)
        case .toGeneral(let narrow, let wide, let byteCount):
            guard let second else { return false }
            let isWide = width(of: operands[0], instruction) == .quad
            return unsafe emitKernel(isWide ? wide : narrow, instruction, first, second, byteCount, 0, aligned: false)
        case .extract(let toRegister, let toMemory, let wide, let byteCount):
            guard let second else { return false }
            // PEXTRD with REX.W is PEXTRQ.
            let isWide = byteCount == 4 && width(of: operands[0], instruction) == .quad
            if case .memory = first {
                return unsafe emitKernel(
                    isWide ? wide : toMemory, instruction, first, second, isWide ? 8 : byteCount, immediate,
                    aligned: false)
            }
            return unsafe emitKernel(
                isWide ? wide : toRegister, instruction, first, second, 0, immediate, aligned: false)
        case .insert(let narrow, let wide, let byteCount):
            guard let second else { return false }
            let isWide = byteCount == 4 && width(of: operands[1], instruction) == .quad
            return unsafe emitKernel(
                isWide ? wide : narrow, instruction, first, second, isWide ? 8 : byteCount, immediate, aligned: false)
        }
    }

    private func width(of operand: Operand, _ instruction: Instruction) -> Width {
        switch operand {
        case .register(let register): register.width
        default: instruction.memory.width
        }
    }

    /// MOVD and MOVQ.
    private mutating func general(_ instruction: Instruction, _ first: Place, _ second: Place) -> Bool {
        let operands = instruction.operands
        if case .vector = operands[0] {
            let isWide = width(of: operands[1], instruction) == .quad
            return unsafe emitKernel(
                isWide ? ShuffleKernels.move8Clearing : ShuffleKernels.move4Clearing, instruction, first, second,
                isWide ? 8 : 4, 0, aligned: false)
        }
        let isWide = width(of: operands[0], instruction) == .quad
        let narrow: Kernel
        if case .memory = first {
            unsafe narrow = ShuffleKernels.move4
        } else {
            unsafe narrow = ShuffleKernels.move4ToGeneral
        }
        return unsafe emitKernel(
            isWide ? ShuffleKernels.move8 : narrow, instruction, first, second, isWide ? 8 : 4, 0, aligned: false)
    }

    private mutating func emitKernel(
        _ kernel: Kernel, _ instruction: Instruction, _ destination: Place, _ source: Place, _ byteCount: Int,
        _ immediate: Int64, aligned: Bool
    ) -> Bool {
        let size = aligned ? 5 : byteCount.trailingZeroBitCount
        let link = unsafe kernelLink(kernel)
        switch (destination, source) {
        case (.core(let to), .core(let from)):
            emit(OperationCode.kernelRR) {
                $0.target = Int32(to)
                $0.displacement = Int64(from)
                $0.immediate = immediate
                unsafe $0.link = link
            }
        case (.core(let to), .memory):
            let reach = reach(instruction, instruction.memory)
            emit(OperationCode.kernelRM(size: size)) {
                reach.apply(&$0)
                $0.target = Int32(to)
                $0.immediate = immediate
                unsafe $0.link = link
            }
        case (.memory, .core(let from)):
            let reach = reach(instruction, instruction.memory)
            emit(OperationCode.kernelMR(size: size)) {
                reach.apply(&$0)
                $0.target = Int32(from)
                $0.immediate = immediate
                unsafe $0.link = link
            }
        case (.memory, .memory): return false
        }
        return true
    }
}
