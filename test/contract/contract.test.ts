// One suite for all engines: see cases.ts.

import { CASES } from './cases.ts'
import { contract } from './contract.ts'
import { KERNEL, USER } from './engines.ts'

contract(USER, CASES)
contract(KERNEL, CASES)
