// Reads TypeScript files for the rules, with the compiler's own parser (which is pinned with it).

import { join } from "node:path";
import * as syntax from "typescript/unstable/ast";
import { API } from "typescript/unstable/async";
import {
  type Code,
  type CodeFunction,
  type Comment,
  countOf,
  type Declaration,
  type Finding,
  type Import,
} from "./code.ts";
import type { SourceFile } from "./source_tree.ts";
import { findingsAt, isExported } from "./typescript_findings.ts";

type Node = syntax.Node;
const { SyntaxKind } = syntax;

/** Parses the sources, which lie in `folder` and belong to its tsconfig.json. */
export async function readTypeScript(
  folder: string,
  sources: readonly SourceFile[],
): Promise<Code[]> {
  const api = new API({ cwd: folder });
  try {
    const snapshot = await api.updateSnapshot({ openProjects: [join(folder, "tsconfig.json")] });
    const program = snapshot.getProjects()[0]?.program;
    return await Promise.all(
      sources.map(async (source) => {
        const tree = await program?.getSourceFile(join(folder, source.path));
        if (tree === undefined) throw new Error(`${source.path} is not in ${folder}/tsconfig.json`);
        return new Reader(source, tree).read();
      }),
    );
  } finally {
    await api.close();
  }
}

const FUNCTIONS = new Set<syntax.SyntaxKind>([
  SyntaxKind.FunctionDeclaration,
  SyntaxKind.FunctionExpression,
  SyntaxKind.ArrowFunction,
  SyntaxKind.MethodDeclaration,
  SyntaxKind.Constructor,
  SyntaxKind.GetAccessor,
  SyntaxKind.SetAccessor,
]);

const TYPES = new Set<syntax.SyntaxKind>([
  SyntaxKind.InterfaceDeclaration,
  SyntaxKind.TypeAliasDeclaration,
]);

const LITERALS = new Set<syntax.SyntaxKind>([
  SyntaxKind.StringLiteral,
  SyntaxKind.NoSubstitutionTemplateLiteral,
  SyntaxKind.TemplateHead,
  SyntaxKind.TemplateMiddle,
  SyntaxKind.TemplateTail,
  SyntaxKind.RegularExpressionLiteral,
]);

class Reader {
  readonly #source: SourceFile;
  readonly #tree: syntax.SourceFile;
  readonly #functions: CodeFunction[] = [];
  readonly #declarations: Declaration[] = [];
  readonly #members: Declaration[] = [];
  readonly #imports: Import[] = [];
  readonly #findings: Finding[] = [];
  readonly #words: string[] = [];
  readonly #literals: Node[] = [];

  constructor(source: SourceFile, tree: syntax.SourceFile) {
    this.#source = source;
    this.#tree = tree;
  }

  read(): Code {
    for (const statement of this.#tree.statements) this.#readStatement(statement);
    this.#visit(this.#tree);
    return {
      source: this.#source,
      comments: this.#comments(),
      functions: this.#functions,
      declarations: this.#declarations,
      members: this.#members,
      imports: this.#imports,
      findings: this.#findings,
      identifiers: countOf(this.#words),
      strings: this.#literals.map((node) => node.getText(this.#tree)).join("\n"),
      hasTests: this.#source.path.endsWith(".test.ts"),
    };
  }

  #line(position: number): number {
    return this.#tree.getLineAndCharacterOfPosition(position).line + 1;
  }

  #lineOf(node: Node): number {
    return this.#line(node.getStart(this.#tree));
  }

  #visit(node: Node): void {
    if (LITERALS.has(node.kind)) this.#literals.push(node);
    if (FUNCTIONS.has(node.kind)) this.#readFunction(node as syntax.FunctionDeclaration);
    if (syntax.isIdentifier(node) || syntax.isPrivateIdentifier(node)) this.#words.push(node.text);
    if (syntax.isClassDeclaration(node)) this.#readClass(node);
    if (syntax.isCallExpression(node)) this.#readDynamicImport(node);
    const line = this.#lineOf(node);
    for (const kind of findingsAt(node, this.#tree)) this.#findings.push({ line, kind });
    node.forEachChild((child) => this.#visit(child));
  }

  #readFunction(node: syntax.FunctionDeclaration): void {
    if (this.#isListOfTests(node)) return;
    const line = this.#lineOf(node);
    const flags = node.parameters.filter(({ type }) => type?.kind === SyntaxKind.BooleanKeyword);
    this.#functions.push({
      name: node.name?.getText(this.#tree) ?? "a function",
      line,
      lineCount: this.#line(node.end) - line + 1,
      flags: node.parameters.length > 1 ? flags.map(({ name }) => name.getText(this.#tree)) : [],
    });
  }

  /** The function of a `describe`, or one that declares tests for several of them. */
  #isListOfTests(node: Node): boolean {
    const isTest = this.#source.path.startsWith("tests/");
    return isTest && /^\s*test(\.|\()/m.test(node.getText(this.#tree));
  }

  #readClass(node: syntax.ClassDeclaration): void {
    for (const member of node.members) {
      const { name } = member as syntax.MethodDeclaration;
      if (name === undefined || !syntax.isIdentifier(name)) continue;
      const line = this.#lineOf(member);
      this.#members.push({ name: name.text, line, isPublic: true, isType: false });
    }
  }

  /** `await import("…")` may take everything that the importer names. */
  #readDynamicImport(node: syntax.CallExpression): void {
    const argument = node.arguments[0];
    if (node.expression.kind !== SyntaxKind.ImportKeyword || argument === undefined) return;
    if (!syntax.isStringLiteral(argument)) return;
    this.#imports.push({ line: this.#lineOf(node), module: argument.text, names: ["*"] });
  }

  #readStatement(statement: syntax.Statement): void {
    if (syntax.isImportDeclaration(statement)) this.#readImport(statement);
    if (syntax.isExportDeclaration(statement)) this.#readReExport(statement);
    if (!isExported(statement) || syntax.isExportDeclaration(statement)) return;
    const names = syntax.isVariableStatement(statement)
      ? statement.declarationList.declarations.map(({ name }) => name)
      : [(statement as syntax.FunctionDeclaration).name];
    for (const name of names) {
      if (name !== undefined) this.#declare(name.getText(this.#tree), statement);
    }
  }

  #declare(name: string, statement: Node): void {
    const isType = TYPES.has(statement.kind);
    this.#declarations.push({ name, line: this.#lineOf(statement), isPublic: true, isType });
  }

  #readImport(statement: syntax.ImportDeclaration): void {
    const bindings = statement.importClause?.namedBindings;
    const isNamed = bindings !== undefined && syntax.isNamedImports(bindings);
    const names = isNamed
      ? bindings.elements.map(({ name, propertyName }) => (propertyName ?? name).text)
      : ["*"];
    this.#addImport(statement, names);
  }

  #readReExport(statement: syntax.ExportDeclaration): void {
    const clause = statement.exportClause;
    const elements =
      clause !== undefined && syntax.isNamedExports(clause) ? [...clause.elements] : [];
    for (const { name } of elements) this.#declare(name.text, statement);
    const taken = elements.map(({ name, propertyName }) => (propertyName ?? name).text);
    if (statement.moduleSpecifier !== undefined) {
      this.#addImport(statement, taken.length === 0 ? ["*"] : taken);
    }
  }

  #addImport(
    statement: syntax.ImportDeclaration | syntax.ExportDeclaration,
    names: string[],
  ): void {
    const module = statement.moduleSpecifier?.getText(this.#tree).slice(1, -1) ?? "";
    this.#imports.push({ line: this.#lineOf(statement), module, names });
  }

  /** Comments are what looks like one outside of literals. */
  #comments(): Comment[] {
    let code = this.#source.text;
    for (const node of this.#literals) {
      const start = node.getStart(this.#tree);
      code = code.slice(0, start) + " ".repeat(node.end - start) + code.slice(node.end);
    }
    const comments: Comment[] = [];
    for (const match of code.matchAll(/\/\/[^\n]*|\/\*[\s\S]*?\*\//g)) {
      const first = this.#line(match.index);
      match[0].split("\n").forEach((text, index) => {
        comments.push({ line: first + index, text: text.trim() });
      });
    }
    return comments;
  }
}
