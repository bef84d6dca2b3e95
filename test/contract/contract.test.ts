// One suite for all engines: see cases.ts.

import { CASES } from './cases.ts'
import { contract } from './contract.ts'
import { ENGINES } from './engines.ts'
import { HELPER_CASES } from './helper-cases.ts'
import { MAP_CASES } from './map-cases.ts'

for (const cases of [CASES, MAP_CASES, HELPER_CASES]) {
  for (const candidate of ENGINES) contract(candidate, cases)
}
