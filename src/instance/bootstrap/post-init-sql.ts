import { EngineError, isEngineError } from "../../common/errors.ts";
import { sqlState } from "../../postgres/connection-error.ts";
import type { SqlConnection } from "../../postgres/connection.ts";

/** Statements of a specification, by the name that people know their list by. */
export interface StatementList {
  readonly name: "postInitSQL" | "postInitTemplateSQL" | "postInitApplicationSQL";
  readonly statements: readonly string[];
}

/**
 * Runs the statements of a list one after the other, as superuser. Throws `postgres-failed` for one that fails, naming the list
 * and its number; never its text, nor what PostgreSQL said, which quotes from it: it may hold a password.
 */
export async function runStatements(
  connection: SqlConnection,
  { name, statements }: StatementList,
  options: {
    readonly logFile: string;
    readonly signal: AbortSignal;
    readonly onActivity: (activity: string) => void;
  },
): Promise<void> {
  const { logFile, signal, onActivity } = options;
  for (const [index, statement] of statements.entries()) {
    onActivity(`running statement ${index + 1} of ${statements.length} of ${name}`);
    try {
      await connection.query(statement, [], { signal });
    } catch (error) {
      const state = sqlState(error);
      // Not about the statement: the session was lost, or we were stopped.
      if (!isEngineError(error, "postgres-failed") || state === undefined) throw error;
      throw new EngineError(
        "postgres-failed",
        `PostgreSQL refused statement ${index + 1} of ${name} (SQLSTATE ${state})`,
        {
          retryable: error.retryable,
          details: { sqlState: state },
          hint: `What PostgreSQL said is in its log, "${logFile}"; it is not repeated here, because it may quote a password.`,
        },
      );
    }
  }
}
