export { configure } from './configure.ts'
export { EXIT_PROGRAM, FORK_PROGRAM, followTree, ROOT_PROGRAM, TREE_MAP } from './follow.ts'
export { specFromJSON, specToJSON } from './json.ts'
export type { FuncInfo, LineInfo, MapSpec, ObjectSpec, ProgramSpec, Relocation } from './spec.ts'
