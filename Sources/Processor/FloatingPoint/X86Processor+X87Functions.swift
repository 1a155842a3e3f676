// x87 instructions on the top of the stack alone: signs, roots, remainders, and the transcendental functions.

internal import Machine
internal import SNPArchitecture

extension X86Processor {
    func x87Function(_ i: Instruction) {
        let takesTwo = [.fscale, .fprem, .fprem1, .fpatan, .fyl2x, .fyl2xp1].contains(i.mnemonic)
        // These say by C2 whether they have done their work, whatever comes.
        if [.fsin, .fcos, .fsincos, .fptan, .fprem, .fprem1].contains(i.mnemonic) { x87Status &= ~X87Status.c2 }
        let pushes = [.fxtract, .fptan, .fsincos].contains(i.mnemonic)
        if isEmptyX87(0) || (takesTwo && isEmptyX87(1)) {
            guard x87StackFault() else { return }
            let pops = [.fpatan, .fyl2x, .fyl2xp1].contains(i.mnemonic)
            setX87Value(pops ? 1 : 0, .indefinite)
            if pops { popX87() }
            if pushes { pushX87(.indefinite) }
            return
        }
        if pushes, !isEmptyX87(7) {
            guard x87StackFault(overflow: true) else { return }
            setX87Value(0, .indefinite)
            return pushX87(.indefinite)
        }
        var unit = x87Unit()
        let (a, b) = (x87Value(0), x87Value(1))
        switch i.mnemonic {
        case .fchs, .fabs:
            x87Status &= ~X87Status.c1
            setX87Value(0, i.mnemonic == .fchs ? a.negated : a.magnitude)
        case .fsqrt: finish(unit.squareRoot(a), unit)
        case .frndint: finish(unit.rounded(a), unit)
        case .fscale: finish(unit.scale(a, by: b), unit)
        case .fprem, .fprem1:
            let result = unit.remainder(a, b, toNearest: i.mnemonic == .fprem1)
            unit.roundedUp = false
            guard note(unit) else { return }
            setX87Value(0, result.value)
            guard !result.value.isNaN else { return }
            setX87Conditions(c0: result.quotient & 4 != 0, c2: result.isPartial, c3: result.quotient & 2 != 0)
            x87Status = x87Status & ~X87Status.c1 | (result.quotient & 1 != 0 ? X87Status.c1 : 0)
        case .fxtract:
            let result = unit.takeApart(a)
            guard note(unit) else { return }
            setX87Value(0, result.exponent)
            pushX87(result.significand)
        case .f2xm1: finish(unit.powerOfTwoLessOne(a), unit)
        case .fyl2x, .fyl2xp1, .fpatan:
            let result: ExtendedFloat
            switch i.mnemonic {
            case .fyl2x: result = unit.multiplyByLogarithm(b, a)
            case .fyl2xp1: result = unit.multiplyByLogarithmOfMore(b, a)
            default: result = unit.arcTangent(b, a)
            }
            guard note(unit) else { return }
            setX87Value(1, result)
            popX87()
        default: trigonometric(i, a, unit)
        }
    }

    private func finish(_ result: ExtendedFloat, _ unit: FloatingPointArithmetic) {
        if note(unit) { setX87Value(0, result) }
    }

    /// FSIN, FCOS, FSINCOS and FPTAN. Operands of 2^63 and more are left as they are, and C2 says so.
    private func trigonometric(_ i: Instruction, _ a: ExtendedFloat, _ start: FloatingPointArithmetic) {
        var unit = start
        if a.kind == .normal, a.exponent >= 16383 + 63 {
            x87Status = x87Status & ~X87Status.c1 | X87Status.c2
            return
        }
        var second = unit
        let (sine, cosine) = (unit.sine(a), second.cosine(a))
        switch i.mnemonic {
        case .fsin: finish(sine, unit)
        case .fcos: finish(cosine, second)
        case .fsincos:
            unit.raised.formUnion(second.raised)
            unit.roundedUp = second.roundedUp
            guard note(unit) else { return }
            setX87Value(0, sine)
            pushX87(cosine)
        default:
            var third = start
            let tangent = third.tangent(a)
            guard note(third) else { return }
            setX87Value(0, tangent)
            pushX87(a.isNaN || a.kind == .infinity || a.kind == .unsupported ? tangent : .one)
        }
    }
}
