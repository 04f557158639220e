import { Link, useLocation } from 'react-router'
import { useConfirmEmail } from '../../api/account'
import { Form } from '../../components/Form'
import { Page } from '../../components/Page'
import { useTexts } from '../../texts'

/** The target of the link sent to a new address, with its token in the fragment. */
export function ConfirmEmail() {
  const token = useLocation().hash.slice(1)
  const confirm = useConfirmEmail()
  const t = useTexts()

  if (confirm.isSuccess) {
    return (
      <Page title={t.emailChanged}>
        <p>
          <Link to="/account">{t.account}</Link>
        </p>
      </Page>
    )
  }
  return (
    <Page title={t.confirmEmailTitle}>
      <Form
        action={t.confirm}
        isPending={confirm.isPending}
        error={confirm.error}
        reasons={{ 401: t.voidText, 404: t.incomplete }}
        onSubmit={() => confirm.mutate(token)}
      >
        <p>{t.confirmEmailText}</p>
      </Form>
    </Page>
  )
}
