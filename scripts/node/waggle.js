#!/usr/bin/env node
// Makes `npx waggle` work in a clone: npm links the commands of workspaces, but not those of the root itself.

import '../../bin/waggle.js'
