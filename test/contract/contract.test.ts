// One suite for all engines: see cases.ts.

import { CASES } from './cases.ts'
import { contract } from './contract.ts'
import { ENGINES } from './engines.ts'

for (const candidate of ENGINES) contract(candidate, CASES)
